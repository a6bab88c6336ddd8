/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ats-exerciser: registers, commands, the ATC, policies and resets
 *
 * Judged against hw/misc/ats_exerciser_regs.h, docs/specs/ats-exerciser.rst and
 * PCIe r6.0, whose section numbers these are. The SMMUv3 in front of it only
 * has to grant translations and to send Invalidate Requests.
 */
#include "qemu/osdep.h"
#include "ats-smmuv3.h"

#define PATTERN                 0x0123456789abcdefULL
#define TIMEOUT                 (100 * ATS_MS)
#define SMMU_ARGS               "-global arm-smmuv3.ats=on"

static void start(ATSSMMU *s, const char *props)
{
    smmu_start(s, SMMU_ARGS, props);
}

static void fill(ATSSMMU *s, unsigned fn)
{
    g_assert_cmpuint(ats_translate(&s->t, fn, 1), ==, ATSX_RESULT_OK);
    g_assert_true(ats_cached(&s->t, fn, 1));
}

/* Does the function answer an Invalidate Request within the time-out? */
static bool answers(ATSSMMU *s, unsigned fn)
{
    bool done;

    smmu_atc_inv(s, fn, ATS_IOVA_OF(ATS_PAGES), 0);
    smmu_sync(s);
    smmu_go(s);
    ats_settle(&s->t);
    done = !smmu_left(s);
    if (!done) {
        ats_step(&s->t, TIMEOUT);
        g_assert_cmpuint(smmu_error(s), ==, SMMU_CERROR_ATC_INV);
        smmu_acknowledge(s);
        ats_wait(&s->t, !smmu_left(s));
    }
    return done;
}

/* Is it there? A VF's Vendor ID reads as all ones in any case */
static bool alive(ATSSMMU *s, unsigned fn)
{
    return ats_config_readl(&s->t, fn, PCI_CLASS_REVISION) != UINT32_MAX;
}

static void test_id(void)
{
    ATSSMMU s;

    start(&s, ",atc-entries=7,flr=off");
    for (unsigned fn = 0; fn <= ATS_VFS; fn++) {
        g_assert_cmphex(ats_readl(&s.t, fn, ATSX_ID), ==, ATSX_ID_MAGIC);
        g_assert_cmphex(ats_readl(&s.t, fn, ATSX_VERSION), ==, ATSX_VERSION_1);
        g_assert_cmphex(ats_readl(&s.t, fn, ATSX_CAPS), ==, 7 | ATSX_CAPS_ATS);
        g_assert_cmphex(ats_readl(&s.t, fn, ATSX_STATUS), ==,
                        ATSX_STATUS_ATS_ENABLE);
        g_assert_cmphex(ats_config_readw(&s.t, fn, PCI_CLASS_REVISION) & 0xff,
                        ==, ATSX_VERSION_1);
    }
    g_assert_cmphex(ats_config_readl(&s.t, 0, PCI_VENDOR_ID), ==,
                    ATSX_DEVICE_ID << 16 | ATSX_VENDOR_ID);
    ats_enable(&s.t, 1, false);
    g_assert_cmphex(ats_readl(&s.t, 1, ATSX_STATUS), ==, 0);
    ats_stop(&s.t);
}

/* 10.5.1, 9.3.7: what VFs have of ATS, and what is there with a property off */
static void test_config(void)
{
    unsigned cap;
    ATSSMMU s;

    start(&s, ",pasid=on");
    cap = ats_ext_cap(&s.t, 0, PCI_EXT_CAP_ID_ATS);
    ats_config_writew(&s.t, 0, cap + PCI_ATS_CTRL, 0x3);
    g_assert_cmphex(ats_config_readw(&s.t, 0, cap + PCI_ATS_CTRL), ==, 0x3);
    g_assert_cmphex(ats_config_readw(&s.t, 0, cap + PCI_ATS_CAP) &
                    PCI_ATS_CAP_PAGE_ALIGNED, !=, 0);
    cap = ats_ext_cap(&s.t, 1, PCI_EXT_CAP_ID_ATS);
    ats_config_writew(&s.t, 1, cap + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE | 0x3);
    g_assert_cmphex(ats_config_readw(&s.t, 1, cap + PCI_ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE);
    g_assert_cmpuint(ats_ext_cap(&s.t, 0, PCI_EXT_CAP_ID_PASID), !=, 0);
    g_assert_cmpuint(ats_ext_cap(&s.t, 1, PCI_EXT_CAP_ID_PASID), ==, 0);
    g_assert_cmpuint(ats_ext_cap(&s.t, 1, PCI_EXT_CAP_ID_ARI), !=, 0);
    g_assert_cmpuint(ats_ext_cap(&s.t, 1, PCI_EXT_CAP_ID_ERR), !=, 0);
    g_assert_cmpuint(ats_cap(&s.t, 1, PCI_CAP_ID_MSIX), !=, 0);
    cap = ats_cap(&s.t, 1, PCI_CAP_ID_EXP);
    g_assert_cmphex(ats_config_readl(&s.t, 1, cap + PCI_EXP_DEVCAP) &
                    PCI_EXP_DEVCAP_FLR, !=, 0);
    ats_stop(&s.t);

    ats_start(&s.t, s.t.m, "", ",ats=off,vf-ats=off,flr=off");
    for (unsigned fn = 0; fn <= 1; fn++) {
        g_assert_cmpuint(ats_ext_cap(&s.t, fn, PCI_EXT_CAP_ID_ATS), ==, 0);
        cap = ats_cap(&s.t, fn, PCI_CAP_ID_EXP);
        g_assert_cmphex(ats_config_readl(&s.t, fn, cap + PCI_EXP_DEVCAP) &
                        PCI_EXP_DEVCAP_FLR, ==, 0);
    }
    ats_stop(&s.t);

    ats_start(&s.t, s.t.m, "", ",ats-preset=on");
    cap = ats_ext_cap(&s.t, 0, PCI_EXT_CAP_ID_ATS);
    g_assert_cmphex(ats_config_readw(&s.t, 0, cap + PCI_ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE);
    ats_stop(&s.t);
}

/* 32 and 64 bits, what is read-only, what is not there */
static void test_registers(void)
{
    static const unsigned wide[] = { ATSX_DMA_ADDR, ATSX_DMA_PATTERN };
    static const unsigned ro[] = {
        ATSX_ID, ATSX_VERSION, ATSX_CAPS, ATSX_STATUS, ATSX_DMA_RESULT,
        ATSX_DMA_COUNT, ATSX_DMA_DATA, ATSX_DMA_DATA + 4, ATSX_DMA_MISMATCH,
        ATSX_COUNTER(ATSX_CNT_TR_GRANTED), ATSX_COUNTER(ATSX_CNT_NUM - 1) + 4,
        ATSX_COUNTER(ATSX_CNT_NUM), 0x094, ATSX_BAR_REGS_SIZE - 4,
    };
    ATSSMMU s;

    start(&s, "");
    for (unsigned i = 0; i < ARRAY_SIZE(wide); i++) {
        ats_writeq(&s.t, 1, wide[i], PATTERN);
        g_assert_cmphex(ats_readq(&s.t, 1, wide[i]), ==, PATTERN);
        g_assert_cmphex(ats_readl(&s.t, 1, wide[i]), ==, (uint32_t)PATTERN);
        g_assert_cmphex(ats_readl(&s.t, 1, wide[i] + 4), ==, PATTERN >> 32);
        ats_writel(&s.t, 1, wide[i] + 4, 0xa5a5a5a5);
        g_assert_cmphex(ats_readq(&s.t, 1, wide[i]), ==,
                        0xa5a5a5a500000000ULL | (uint32_t)PATTERN);
        ats_writel(&s.t, 1, wide[i], 1);
        g_assert_cmphex(ats_readq(&s.t, 1, wide[i]), ==, 0xa5a5a5a500000001ULL);
        /* Every function has its own */
        g_assert_cmphex(ats_readq(&s.t, 0, wide[i]), ==, 0);
        g_assert_cmphex(ats_readq(&s.t, 2, wide[i]), ==, 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ro); i++) {
        uint32_t val = ats_readl(&s.t, 1, ro[i]);

        ats_writel(&s.t, 1, ro[i], ~val);
        g_assert_cmphex(ats_readl(&s.t, 1, ro[i]), ==, val);
    }
    /* Write-only, and not a command */
    g_assert_cmphex(ats_readl(&s.t, 1, ATSX_DMA_CMD), ==, 0);
    ats_stop(&s.t);
}

/* Both sides see and set the same policies; no other value is taken */
static void test_policies(void)
{
    static const struct {
        const char *name;
        unsigned reg;
        uint32_t max;
    } policies[] = {
        { "inv-policy", ATSX_INV_POLICY, ATSX_INV_UR },
        { "inv-param", ATSX_INV_PARAM, UINT32_MAX },
        { "inv-policy-disabled", ATSX_INV_POLICY_DISABLED,
          ATSX_INV_DISABLED_UR },
        { "reset-policy", ATSX_RESET_POLICY, ATSX_RESET_FAIL },
        { "reset-param", ATSX_RESET_PARAM, UINT32_MAX },
    };
    ATSSMMU s;

    start(&s, "");
    for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
        uint32_t max = policies[i].max;

        for (unsigned fn = 0; fn <= 1; fn++) {
            g_assert_cmphex(ats_readl(&s.t, fn, policies[i].reg), ==, 0);
            ats_writel(&s.t, fn, policies[i].reg, max);
            g_assert_cmphex(ats_host(&s.t, fn, policies[i].name), ==, max);
            ats_host_set(&s.t, fn, policies[i].name, 1);
            g_assert_cmphex(ats_readl(&s.t, fn, policies[i].reg), ==, 1);
            g_assert_false(ats_host_try(&s.t, fn, policies[i].name,
                                        (uint64_t)max + 1));
            if (max != UINT32_MAX) {
                ats_writel(&s.t, fn, policies[i].reg, max + 1);
            }
            g_assert_cmphex(ats_host(&s.t, fn, policies[i].name), ==, 1);
        }
        g_assert_cmphex(ats_host(&s.t, 2, policies[i].name), ==, 0);
    }
    ats_stop(&s.t);
}

/* The guest reads the counters that the host reads */
static void test_counters(void)
{
    static const char *const name[ATSX_CNT_NUM] = ATSX_COUNTER_NAMES;
    ATSSMMU s;

    start(&s, "");
    fill(&s, 1);
    g_assert_cmpuint(ats_translate(&s.t, 1, ATS_PAGES), ==,
                     ATSX_RESULT_REJECTED);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 2, 1), ==,
                     ATSX_RESULT_NO_ENTRY);
    ats_command(&s.t, 1, ATSX_CMD_READ, 0, ATS_IOVA, 8);
    ats_command(&s.t, 1, ATSX_CMD_READ, 0, ATS_IOVA_OF(ATS_PAGES), 8);
    for (unsigned i = 0; i < ATSX_CNT_NUM; i++) {
        g_assert_cmpuint(ats_readq(&s.t, 1, ATSX_COUNTER(i)), ==,
                         ats_host(&s.t, 1, name[i]));
        g_assert_cmpuint(ats_host(&s.t, 2, name[i]), ==, 0);
    }
    g_assert_cmpuint(ats_host(&s.t, 1, "tr-granted"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "tr-refused"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "tdma-done"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "tdma-no-entry"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "udma-done"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "udma-rejected"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 1);
    ats_stop(&s.t);
}

/* Operands, Bus Master, ATS Enable */
static void test_commands(void)
{
    static const struct {
        uint32_t cmd, flags, len;
        uint64_t addr;
    } invalid[] = {
        { 0, 0, 8, ATS_IOVA },
        { ATSX_CMD_ATC_FLUSH + 1, 0, 8, ATS_IOVA },
        { ATSX_CMD_READ, 0, 0, ATS_IOVA },
        { ATSX_CMD_READ, 0, 4, ATS_IOVA },
        { ATSX_CMD_READ, 0, 8, ATS_IOVA + 4 },
        { ATSX_CMD_READ, 0, (1 << 20) + 8, ATS_IOVA },
        { ATSX_CMD_READ, 0x80, 8, ATS_IOVA },
        { ATSX_CMD_READ, 0, 16, -8 },
    };
    ATSSMMU s;

    start(&s, "");
    for (unsigned i = 0; i < ARRAY_SIZE(invalid); i++) {
        g_assert_cmpuint(ats_command(&s.t, 1, invalid[i].cmd, invalid[i].flags,
                                     invalid[i].addr, invalid[i].len), ==,
                         ATSX_RESULT_INVALID);
    }
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_TRANSLATE,
                                 ATSX_DMA_PASID_VALID, ATS_IOVA, 8), ==,
                     ATSX_RESULT_DISABLED);

    fill(&s, 1);
    ats_config_writew(&s.t, 1, PCI_COMMAND, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(ats_translate(&s.t, 1, 1), ==, ATSX_RESULT_DISABLED);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_DISABLED);
    ats_set_up_vf(&s.t, 1);
    ats_enable(&s.t, 1, false);
    g_assert_cmpuint(ats_translate(&s.t, 1, 1), ==, ATSX_RESULT_DISABLED);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_DISABLED);
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_READ, 0, ATS_IOVA, 8), ==,
                     ATSX_RESULT_OK);

    /* The end of a command; the status is cleared by writing ones */
    g_assert_cmphex(ats_readl(&s.t, 1, ATSX_IRQ_STATUS), ==, ATSX_IRQ_DMA_DONE);
    ats_writel(&s.t, 1, ATSX_IRQ_STATUS, 0);
    g_assert_cmphex(ats_readl(&s.t, 1, ATSX_IRQ_STATUS), ==, ATSX_IRQ_DMA_DONE);
    ats_writel(&s.t, 1, ATSX_IRQ_STATUS, ATSX_IRQ_DMA_DONE);
    g_assert_cmphex(ats_readl(&s.t, 1, ATSX_IRQ_STATUS), ==, 0);
    ats_stop(&s.t);
}

/* IRQ_STATUS & IRQ_ENABLE is a message, which the IOMMU translates */
static void test_msix(void)
{
    uint64_t word;
    ATSSMMU s;

    start(&s, "");
    word = ats_data(&s.t, 3);
    ats_enable_msix(&s.t, ATS_IOVA_OF(3), 0xcafe);
    ats_translate(&s.t, 0, 1);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 0);

    /* The one that waits; then the one that comes */
    ats_writel(&s.t, 0, ATSX_IRQ_ENABLE, ATSX_IRQ_DMA_DONE);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 0xcafe);
    qtest_writel(s.t.qts, word, 0);
    ats_writel(&s.t, 0, ATSX_IRQ_STATUS, ATSX_IRQ_DMA_DONE);
    ats_translate(&s.t, 0, 1);
    g_assert_cmphex(qtest_readl(s.t.qts, word), ==, 0xcafe);
    ats_stop(&s.t);
}

static void test_dma(void)
{
    ATSSMMU s;

    start(&s, "");
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_TRANSLATE, 0, ATS_IOVA,
                                 2 * ATS_PAGE), ==, ATSX_RESULT_OK);
    for (uint32_t flags = 0; flags <= ATSX_DMA_TRANSLATED; flags++) {
        uint64_t pattern = PATTERN + flags;

        /* Over the end of a page */
        ats_writeq(&s.t, 1, ATSX_DMA_PATTERN, pattern);
        g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_WRITE, flags,
                                     ATS_IOVA_OF(1) - 16, 32), ==,
                         ATSX_RESULT_OK);
        g_assert_cmpuint(ats_readl(&s.t, 1, ATSX_DMA_COUNT), ==, 32);
        for (int i = -2; i < 2; i++) {
            g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1) + i * 8), ==,
                            pattern);
        }
        g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1) + 16), ==, 0);

        qtest_writeq(s.t.qts, ats_data(&s.t, 1), 42);
        g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_READ, flags,
                                     ATS_IOVA_OF(1), 16), ==, ATSX_RESULT_OK);
        g_assert_cmphex(ats_readq(&s.t, 1, ATSX_DMA_DATA), ==, 42);
        g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_COMPARE, flags,
                                     ATS_IOVA_OF(1) - 16, 32), ==,
                         ATSX_RESULT_OK);
        g_assert_cmpuint(ats_readl(&s.t, 1, ATSX_DMA_MISMATCH), ==, 1);
        g_assert_cmphex(ats_readq(&s.t, 1, ATSX_DMA_DATA), ==, 42);
    }

    /* As far as the ATC reaches; untranslated DMA fills nothing */
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED,
                                 ATS_IOVA, 3 * ATS_PAGE), ==,
                     ATSX_RESULT_NO_ENTRY);
    g_assert_cmpuint(ats_readl(&s.t, 1, ATSX_DMA_COUNT), ==, 2 * ATS_PAGE);
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_WRITE, 0, ATS_IOVA,
                                 3 * ATS_PAGE), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 2);
    ats_stop(&s.t);
}

static void test_atc(void)
{
    unsigned cap;
    ATSSMMU s;

    start(&s, ",atc-entries=2");
    for (unsigned page = 0; page < 3; page++) {
        g_assert_cmpuint(ats_translate(&s.t, 1, page), ==, ATSX_RESULT_OK);
    }
    /* The oldest one had to go */
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 2);
    g_assert_false(ats_cached(&s.t, 1, 0));
    g_assert_true(ats_cached(&s.t, 1, 1));
    g_assert_true(ats_cached(&s.t, 1, 2));
    /* The same page again takes no second entry */
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_OK);
    g_assert_true(ats_cached(&s.t, 1, 1));

    /* NW: 10.2.2.6 */
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_TRANSLATE, ATSX_DMA_NO_WRITE,
                                 ATS_IOVA_OF(1), 8), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==,
                     ATSX_RESULT_NO_ENTRY);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 2, 1), ==, ATSX_RESULT_OK);

    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_ATC_FLUSH, 0, 0, 0), ==,
                     ATSX_RESULT_OK);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_false(ats_cached(&s.t, 1, 2));

    /* 10.3.7: Enable from 0 to 1 is an invalidation, from 1 to 0 is none */
    fill(&s, 1);
    ats_enable(&s.t, 1, false);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 1);
    ats_enable(&s.t, 1, true);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);

    /* 10.5.1.3: the PF's STU, 8 KiB, is for its VFs, too; pages are smaller */
    cap = ats_ext_cap(&s.t, 0, PCI_EXT_CAP_ID_ATS);
    ats_config_writew(&s.t, 0, cap + PCI_ATS_CTRL, 1);
    g_assert_cmpuint(ats_translate(&s.t, 1, 1), ==, ATSX_RESULT_REJECTED);
    ats_config_writew(&s.t, 0, cap + PCI_ATS_CTRL, 0);
    fill(&s, 1);
    ats_stop(&s.t);
}

/* 6.6.2: an FLR clears the ATC, the capabilities, and by default the policy */
static void test_flr(void)
{
    unsigned cap;
    ATSSMMU s;

    start(&s, "");
    for (unsigned fn = 1; fn <= 2; fn++) {
        fill(&s, fn);
        ats_policy(&s.t, fn, ATSX_INV_DROP, 0);
    }
    ats_writeq(&s.t, 1, ATSX_DMA_PATTERN, PATTERN);
    ats_flr(&s.t, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-policy"), ==, ATSX_INV_ANSWER);
    g_assert_cmpuint(ats_host(&s.t, 1, "resets"), ==, 1);
    cap = ats_ext_cap(&s.t, 1, PCI_EXT_CAP_ID_ATS);
    g_assert_cmphex(ats_config_readw(&s.t, 1, cap + PCI_ATS_CTRL), ==, 0);
    g_assert_cmphex(ats_config_readw(&s.t, 1, PCI_COMMAND), ==, 0);
    /* Counters are not reset */
    g_assert_cmpuint(ats_host(&s.t, 1, "tr-granted"), ==, 1);
    ats_set_up_vf(&s.t, 1);
    g_assert_cmphex(ats_readq(&s.t, 1, ATSX_DMA_PATTERN), ==, 0);
    ats_enable(&s.t, 1, true);
    g_assert_true(answers(&s, 1));
    fill(&s, 1);

    /* The other VF was left alone */
    g_assert_cmpuint(ats_host(&s.t, 2, "atc-entries"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-policy"), ==, ATSX_INV_DROP);
    g_assert_cmpuint(ats_host(&s.t, 2, "resets"), ==, 0);
    g_assert_false(answers(&s, 2));

    /* 9.2.2.2: that of the PF takes the VFs away */
    ats_flr(&s.t, 0);
    g_assert_false(alive(&s, 1));
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    ats_set_up_pf(&s.t);
    g_assert_true(alive(&s, 1));
    ats_enable(&s.t, 2, true);
    g_assert_true(answers(&s, 2));
    ats_stop(&s.t);
}

static void test_flr_off(void)
{
    ATSSMMU s;

    start(&s, ",flr=off");
    fill(&s, 1);
    ats_flr(&s.t, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "resets"), ==, 0);
    g_assert_true(ats_cached(&s.t, 1, 1));
    ats_stop(&s.t);
}

/* A request that is put off does not survive the reset */
static void test_flr_delayed(void)
{
    ATSSMMU s;

    start(&s, "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 50);
    smmu_invalidate(&s, 1, 1);
    ats_flr(&s.t, 1);
    ats_step(&s.t, TIMEOUT - 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-dropped"), ==, 1);
    g_assert_cmpuint(smmu_error(&s), ==, SMMU_CERROR_NONE);
    ats_step(&s.t, 1);
    g_assert_cmpuint(smmu_error(&s), ==, SMMU_CERROR_ATC_INV);
    ats_stop(&s.t);
}

static void test_reset_keep(void)
{
    ATSSMMU s;

    start(&s, "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 7);

    ats_host_set(&s.t, 1, "reset-policy", ATSX_RESET_KEEP_ALL);
    ats_flr(&s.t, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-policy"), ==, ATSX_INV_DROP);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-param"), ==, 7);
    g_assert_cmpuint(ats_host(&s.t, 1, "resets"), ==, 1);

    ats_host_set(&s.t, 1, "reset-policy", ATSX_RESET_KEEP_POLICY);
    ats_flr(&s.t, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-policy"), ==, ATSX_INV_DROP);
    g_assert_cmpuint(ats_host(&s.t, 1, "reset-policy"), ==,
                     ATSX_RESET_KEEP_POLICY);
    ats_set_up_vf(&s.t, 1);
    ats_enable(&s.t, 1, true);
    g_assert_false(answers(&s, 1));
    ats_stop(&s.t);
}

/* Not there for 500 ms, to the nanosecond, and as after any reset then */
static void test_reset_late(void)
{
    uint64_t answered;
    ATSSMMU s;

    start(&s, "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    ats_host_set(&s.t, 1, "reset-param", 500);
    ats_host_set(&s.t, 1, "reset-policy", ATSX_RESET_LATE);
    ats_flr(&s.t, 1);
    g_assert_false(alive(&s, 1));
    g_assert_true(alive(&s, 0));
    g_assert_true(alive(&s, 2));

    /* It hears nothing */
    answered = ats_host(&s.t, 1, "inv-answered");
    g_assert_false(answers(&s, 1));
    ats_config_writew(&s.t, 1, PCI_COMMAND, PCI_COMMAND_MASTER);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, answered);

    ats_step(&s.t, 400 * ATS_MS - 1);
    g_assert_false(alive(&s, 1));
    ats_step(&s.t, 1);
    g_assert_true(alive(&s, 1));
    g_assert_cmphex(ats_config_readw(&s.t, 1, PCI_COMMAND), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-policy"), ==, ATSX_INV_ANSWER);
    ats_set_up_vf(&s.t, 1);
    ats_enable(&s.t, 1, true);
    g_assert_true(answers(&s, 1));
    fill(&s, 1);
    ats_stop(&s.t);
}

/* Not back before the link is reset, however long it takes */
static void test_reset_fail(void)
{
    uint16_t control;
    ATSSMMU s;

    start(&s, "");
    ats_host_set(&s.t, 0, "reset-policy", ATSX_RESET_FAIL);
    ats_flr(&s.t, 0);
    ats_step(&s.t, 1000000 * ATS_MS);
    g_assert_false(alive(&s, 0));
    g_assert_false(answers(&s, 0));
    g_assert_false(alive(&s, 0));

    control = ats_port_readw(&s.t, PCI_BRIDGE_CONTROL);
    ats_port_writew(&s.t, PCI_BRIDGE_CONTROL,
                    control | PCI_BRIDGE_CTL_BUS_RESET);
    ats_port_writew(&s.t, PCI_BRIDGE_CONTROL, control);
    g_assert_true(alive(&s, 0));
    ats_set_up_pf(&s.t);
    ats_enable(&s.t, 0, true);
    g_assert_true(answers(&s, 0));
    ats_stop(&s.t);
}

/* 5.3.1.4: No_Soft_Reset is clear, so D3hot to D0 is a reset like an FLR */
static void test_reset_d3hot(void)
{
    unsigned cap;
    ATSSMMU s;

    start(&s, ",flr=off");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    cap = ats_cap(&s.t, 1, PCI_CAP_ID_PM);
    g_assert_cmphex(ats_config_readw(&s.t, 1, cap + PCI_PM_CTRL) &
                    PCI_PM_CTRL_NO_SOFT_RESET, ==, 0);
    ats_config_writew(&s.t, 1, cap + PCI_PM_CTRL, 3);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 1);
    ats_config_writew(&s.t, 1, cap + PCI_PM_CTRL, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-policy"), ==, ATSX_INV_ANSWER);
    g_assert_cmpuint(ats_host(&s.t, 1, "resets"), ==, 1);
    g_assert_cmphex(ats_config_readw(&s.t, 1, PCI_COMMAND), ==, 0);

    /* By the same policy */
    ats_host_set(&s.t, 1, "reset-param", 30);
    ats_host_set(&s.t, 1, "reset-policy", ATSX_RESET_LATE);
    ats_config_writew(&s.t, 1, cap + PCI_PM_CTRL, 3);
    ats_config_writew(&s.t, 1, cap + PCI_PM_CTRL, 0);
    ats_step(&s.t, 30 * ATS_MS - 1);
    g_assert_false(alive(&s, 1));
    ats_step(&s.t, 1);
    g_assert_true(alive(&s, 1));
    ats_stop(&s.t);
}

/* VF Enable: the VFs go and come back; policies can be set in between */
static void test_vf_enable(void)
{
    ATSSMMU s;

    start(&s, "");
    fill(&s, 1);
    ats_enable_vfs(&s.t, false);
    g_assert_false(alive(&s, 1));
    g_assert_true(alive(&s, 0));
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "tr-granted"), ==, 1);
    /* That was no reset of a function that is there */
    g_assert_cmpuint(ats_host(&s.t, 1, "resets"), ==, 0);
    g_assert_false(answers(&s, 1));
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 0);

    ats_host_set(&s.t, 1, "reset-policy", ATSX_RESET_KEEP_POLICY);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    ats_enable_vfs(&s.t, true);
    ats_set_up_vf(&s.t, 1);
    ats_enable(&s.t, 1, true);
    g_assert_cmphex(ats_readl(&s.t, 1, ATSX_ID), ==, ATSX_ID_MAGIC);
    g_assert_false(answers(&s, 1));
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 1);

    /* An answer that is put off does not come from a VF that is gone */
    ats_host_set(&s.t, 1, "reset-policy", ATSX_RESET_KEEP_ALL);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 50);
    smmu_invalidate(&s, 1, 1);
    ats_enable_vfs(&s.t, false);
    ats_step(&s.t, TIMEOUT);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 0);
    g_assert_cmpuint(smmu_error(&s), ==, SMMU_CERROR_ATC_INV);
    ats_stop(&s.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/ats-exerciser/id", test_id);
    qtest_add_func("/ats-exerciser/config", test_config);
    qtest_add_func("/ats-exerciser/registers", test_registers);
    qtest_add_func("/ats-exerciser/policies", test_policies);
    qtest_add_func("/ats-exerciser/counters", test_counters);
    qtest_add_func("/ats-exerciser/commands", test_commands);
    qtest_add_func("/ats-exerciser/msix", test_msix);
    qtest_add_func("/ats-exerciser/dma", test_dma);
    qtest_add_func("/ats-exerciser/atc", test_atc);
    qtest_add_func("/ats-exerciser/flr", test_flr);
    qtest_add_func("/ats-exerciser/flr-off", test_flr_off);
    qtest_add_func("/ats-exerciser/flr-delayed", test_flr_delayed);
    qtest_add_func("/ats-exerciser/reset-keep", test_reset_keep);
    qtest_add_func("/ats-exerciser/reset-late", test_reset_late);
    qtest_add_func("/ats-exerciser/reset-fail", test_reset_fail);
    qtest_add_func("/ats-exerciser/reset-d3hot", test_reset_d3hot);
    qtest_add_func("/ats-exerciser/vf-enable", test_vf_enable);
    return g_test_run();
}
