/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SMMUv3 of the virt machine, driven by a test, see ats-smmuv3.h
 */
#include "qemu/osdep.h"
#include "ats-smmuv3.h"

#define SMMU_BASE               0x09050000

/* Main memory */
#define SMMU_STRTAB             0x100000
#define SMMU_STRTAB_LOG2        9
#define SMMU_STE_SIZE           64
#define SMMU_CMDQ               0x110000
#define SMMU_CMDQ_LOG2          4
#define SMMU_EVENTQ             0x120000
#define SMMU_EVENTQ_LOG2        5
#define SMMU_CD                 0x130000
#define SMMU_TABLE              0x140000

#define SMMU_CMD_CFGI_STE       0x03
#define SMMU_CMD_ATC_INV        0x40
#define SMMU_CMD_SYNC           0x46

/* VMSAv8-64 descriptors, 4 KiB granule */
#define PTE_TABLE               3
#define PTE_PAGE                3
#define PTE_UNPRIVILEGED        (1 << 6)
#define PTE_READ_ONLY           (1 << 7)
#define PTE_AF                  (1 << 10)

static const ATSMachine smmu_machine = {
    .args = "-machine virt,highmem=off,gic-version=3,iommu=smmuv3 "
            "-cpu cortex-a57",
    .ecam = 0x3f000000,
    .mmio = 0x10000000,
    .ram = 0x40000000,
};

uint32_t smmu_readl(ATSSMMU *s, unsigned reg)
{
    return qtest_readl(s->t.qts, SMMU_BASE + reg);
}

void smmu_writel(ATSSMMU *s, unsigned reg, uint32_t val)
{
    qtest_writel(s->t.qts, SMMU_BASE + reg, val);
}

void smmu_writeq(ATSSMMU *s, unsigned reg, uint64_t val)
{
    qtest_writeq(s->t.qts, SMMU_BASE + reg, val);
}

void smmu_ste(ATSSMMU *s, unsigned fn, bool valid, unsigned config,
              unsigned eats)
{
    uint64_t ste = ats_ram(&s->t, SMMU_STRTAB + ATS_SID(fn) * SMMU_STE_SIZE);

    qtest_writeq(s->t.qts, ste + 8, (uint64_t)eats << 28);
    qtest_writeq(s->t.qts, ste,
                 ats_ram(&s->t, SMMU_CD) | config << 1 | valid);
}

void smmu_cmd(ATSSMMU *s, uint64_t lo, uint64_t hi)
{
    unsigned index = s->prod & ((1 << SMMU_CMDQ_LOG2) - 1);
    uint64_t cmd = ats_ram(&s->t, SMMU_CMDQ + index * 16);

    qtest_writeq(s->t.qts, cmd, lo);
    qtest_writeq(s->t.qts, cmd + 8, hi);
    s->prod = (s->prod + 1) & ((2 << SMMU_CMDQ_LOG2) - 1);
}

void smmu_cfgi(ATSSMMU *s, unsigned fn)
{
    smmu_cmd(s, (uint64_t)ATS_SID(fn) << 32 | SMMU_CMD_CFGI_STE, 1);
    smmu_sync(s);
    smmu_go(s);
    g_assert_cmpuint(smmu_left(s), ==, 0);
}

void smmu_atc_inv(ATSSMMU *s, unsigned fn, uint64_t addr, unsigned size)
{
    smmu_cmd(s, (uint64_t)ATS_SID(fn) << 32 | SMMU_CMD_ATC_INV, addr | size);
}

void smmu_sync(ATSSMMU *s)
{
    smmu_cmd(s, SMMU_SYNC_NONE << 12 | SMMU_CMD_SYNC, 0);
}

void smmu_sync_msi(ATSSMMU *s, uint64_t addr, uint32_t data)
{
    smmu_cmd(s, (uint64_t)data << 32 | SMMU_SYNC_IRQ << 12 | SMMU_CMD_SYNC,
             addr);
}

void smmu_go(ATSSMMU *s)
{
    smmu_writel(s, SMMU_CMDQ_PROD, s->prod);
}

unsigned smmu_left(ATSSMMU *s)
{
    return (s->prod - smmu_readl(s, SMMU_CMDQ_CONS)) &
           ((2 << SMMU_CMDQ_LOG2) - 1);
}

unsigned smmu_error(ATSSMMU *s)
{
    uint32_t active = smmu_readl(s, SMMU_GERROR) ^ smmu_readl(s, SMMU_GERRORN);

    if (!(active & SMMU_GERROR_CMDQ)) {
        return SMMU_CERROR_NONE;
    }
    return smmu_readl(s, SMMU_CMDQ_CONS) >> 24 & 0x7f;
}

void smmu_acknowledge(ATSSMMU *s)
{
    smmu_writel(s, SMMU_GERRORN, smmu_readl(s, SMMU_GERROR));
}

bool smmu_event(ATSSMMU *s, uint64_t evt[4])
{
    unsigned index = s->evt_cons & ((1 << SMMU_EVENTQ_LOG2) - 1);

    if (smmu_readl(s, SMMU_EVENTQ_PROD) == s->evt_cons) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        evt[i] = qtest_readq(s->t.qts, ats_ram(&s->t, SMMU_EVENTQ) +
                                       index * 32 + i * 8);
    }
    s->evt_cons = (s->evt_cons + 1) & ((2 << SMMU_EVENTQ_LOG2) - 1);
    smmu_writel(s, SMMU_EVENTQ_CONS, s->evt_cons);
    return true;
}

void smmu_invalidate(ATSSMMU *s, unsigned fn, unsigned page)
{
    smmu_atc_inv(s, fn, ATS_IOVA_OF(page), 0);
    smmu_sync(s);
    smmu_go(s);
}

static void smmu_tables(ATSSMMU *s)
{
    QTestState *qts = s->t.qts;
    uint64_t table = ats_ram(&s->t, SMMU_TABLE);
    uint64_t cd = ats_ram(&s->t, SMMU_CD);

    /* 39 bits of input address: three levels */
    qtest_writeq(qts, table, (table + ATS_PAGE) | PTE_TABLE);
    qtest_writeq(qts, table + ATS_PAGE, (table + 2 * ATS_PAGE) | PTE_TABLE);
    for (unsigned i = 0; i < ATS_PAGES; i++) {
        unsigned index = ATS_IOVA_OF(i) / ATS_PAGE;

        qtest_writeq(qts, table + 2 * ATS_PAGE + index * 8,
                     ats_data(&s->t, i) | PTE_PAGE | PTE_UNPRIVILEGED | PTE_AF |
                     (i == ATS_PAGES - 1 ? PTE_READ_ONLY : 0));
    }

    /* CD, 5.4: A, R, AA64, IPS = 44 bits, V, EPD1, T0SZ */
    qtest_writeq(qts, cd, 1ULL << 46 | 1ULL << 45 | 1ULL << 41 | 4ULL << 32 |
                          1ULL << 31 | 1ULL << 30 | 25);
    qtest_writeq(qts, cd + 8, table);
}

void smmu_start(ATSSMMU *s, const char *args, const char *props)
{
    memset(s, 0, sizeof(*s));
    ats_start(&s->t, &smmu_machine, args, props);
    smmu_tables(s);
    for (unsigned fn = 0; fn <= ATS_VFS; fn++) {
        smmu_ste(s, fn, true, SMMU_STE_S1, 1);
    }
    smmu_writeq(s, SMMU_STRTAB_BASE, ats_ram(&s->t, SMMU_STRTAB));
    smmu_writel(s, SMMU_STRTAB_BASE_CFG, SMMU_STRTAB_LOG2);
    smmu_writeq(s, SMMU_CMDQ_BASE, ats_ram(&s->t, SMMU_CMDQ) | SMMU_CMDQ_LOG2);
    smmu_writeq(s, SMMU_EVENTQ_BASE,
                ats_ram(&s->t, SMMU_EVENTQ) | SMMU_EVENTQ_LOG2);
    smmu_writel(s, SMMU_CR0, SMMU_CR0_ALL);
    for (unsigned fn = 0; fn <= ATS_VFS; fn++) {
        ats_enable(&s->t, fn, true);
    }
}
