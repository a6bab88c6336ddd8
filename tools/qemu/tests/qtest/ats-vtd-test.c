/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel VT-d with device-TLBs
 *
 * Judged against the VT-d specification, revision 4.1, whose section numbers
 * these are, and against docs/specs/ats-exerciser.rst for what it leaves to the
 * implementation.
 */
#include "qemu/osdep.h"
#include "ats-test.h"

#define VTD_BASE                0xfed90000

/* Registers, chapter 11 */
#define VTD_ECAP                0x10
#define  VTD_ECAP_DT            (1 << 2)
#define VTD_GCMD                0x18
#define  VTD_GCMD_TE            (1U << 31)
#define  VTD_GCMD_SRTP          (1 << 30)
#define  VTD_GCMD_QIE           (1 << 26)
#define VTD_GSTS                0x1c
#define VTD_RTADDR              0x20
#define  VTD_RTADDR_SMT         (1 << 10)
#define VTD_FSTS                0x34
#define  VTD_FSTS_PPF           (1 << 1)
#define  VTD_FSTS_ITE           (1 << 6)
#define VTD_IQH                 0x80
#define VTD_IQT                 0x88
#define VTD_IQA                 0x90
#define  VTD_IQA_DW             (1 << 11)
#define VTD_ICS                 0x9c
#define  VTD_ICS_IWC            (1 << 0)
#define VTD_IQER                0xb0
#define VTD_FRCD                0x220

/* Fault reasons, 7.1.3 */
#define VTD_FR_TT               0x0d
#define VTD_FR_DTE              0x44
#define VTD_FR_PASID_ENTRY_P    0x59

/* Descriptors, 6.5.2 */
#define VTD_DESC_CONTEXT        0x01
#define VTD_DESC_DEVICE_TLB     0x03
#define VTD_DESC_WAIT           0x05
#define  VTD_WAIT_IF            (1 << 4)
#define  VTD_WAIT_SW            (1 << 5)
#define  VTD_WAIT_FN            (1 << 6)
#define VTD_DESC_DEVICE_PTLB    0x08
#define VTD_GRANULARITY_GLOBAL  (1 << 4)

/* Main memory */
#define VTD_ROOT                0x100000
#define VTD_CONTEXT             0x101000
#define VTD_PASID_DIR           0x102000
#define VTD_PASID_TABLE         0x103000
#define VTD_SL_TABLE            0x110000
#define VTD_FL_TABLE            0x120000
#define VTD_QUEUE               0x130000
#define VTD_QUEUE_SIZE          ATS_PAGE
#define VTD_STATUS              0x140000

#define VTD_RID_PASID           0
#define VTD_PASID               5

#define TIMEOUT                 (100 * ATS_MS)
#define PATTERN                 0x0123456789abcdefULL

typedef struct VTD {
    ATSTest t;
    bool scalable;
    unsigned desc_size;
    uint32_t tail;              /* bytes */
} VTD;

static const ATSMachine vtd_machine = {
    .args = "-machine q35 -global apic-common.vapic=off",
    .ecam = 0xb0000000,
    .mmio = 0xe0000000,
    .ram = 0x1000000,
    .pc = true,
};

static uint32_t vtd_readl(VTD *s, unsigned reg)
{
    return qtest_readl(s->t.qts, VTD_BASE + reg);
}

static uint64_t vtd_readq(VTD *s, unsigned reg)
{
    return qtest_readq(s->t.qts, VTD_BASE + reg);
}

static void vtd_writel(VTD *s, unsigned reg, uint32_t val)
{
    qtest_writel(s->t.qts, VTD_BASE + reg, val);
}

static void vtd_writeq(VTD *s, unsigned reg, uint64_t val)
{
    qtest_writeq(s->t.qts, VTD_BASE + reg, val);
}

static uint64_t vtd_ram(VTD *s, uint64_t offset, uint64_t flags)
{
    return ats_ram(&s->t, offset) | flags;
}

static void vtd_store(VTD *s, uint64_t offset, uint64_t val)
{
    qtest_writeq(s->t.qts, ats_ram(&s->t, offset), val);
}

/* 9.3: TT = @dte, so that 1 means "with device-TLB"; 9.4: DTE and PASIDE */
static void vtd_context(VTD *s, unsigned fn, bool present, bool dte)
{
    uint64_t entry = VTD_CONTEXT + fn * (s->scalable ? 32 : 16);

    if (s->scalable) {
        vtd_store(s, entry, vtd_ram(s, VTD_PASID_DIR, 1 << 3 | dte << 2 |
                                                      present));
        vtd_store(s, entry + 8, VTD_RID_PASID);
    } else {
        /* Domain 1, three levels */
        vtd_store(s, entry + 8, 1 << 8 | 1);
        vtd_store(s, entry, vtd_ram(s, VTD_SL_TABLE, dte << 2 | present));
    }
}

/* 9.6: first-stage translation, four levels */
static void vtd_pasid(VTD *s, unsigned pasid, bool present)
{
    uint64_t entry = VTD_PASID_TABLE + pasid * 64;

    vtd_store(s, entry + 16, vtd_ram(s, VTD_FL_TABLE, 0));
    vtd_store(s, entry + 8, 1);
    vtd_store(s, entry, 1 << 6 | present);
}

static void vtd_tables(VTD *s)
{
    uint64_t table = s->scalable ? VTD_FL_TABLE : VTD_SL_TABLE;
    unsigned levels = s->scalable ? 4 : 3;
    /* P, R/W, U/S of the first stage; R, W of the second */
    unsigned rw = s->scalable ? 7 : 3, ro = s->scalable ? 5 : 1;

    for (unsigned i = 1; i < levels; i++, table += ATS_PAGE) {
        vtd_store(s, table, vtd_ram(s, table + ATS_PAGE, rw));
    }
    for (unsigned i = 0; i < ATS_PAGES; i++) {
        vtd_store(s, table + ATS_IOVA_OF(i) / ATS_PAGE * 8,
                  ats_data(&s->t, i) | (i == ATS_PAGES - 1 ? ro : rw));
    }

    vtd_store(s, VTD_ROOT + 1 * 16, vtd_ram(s, VTD_CONTEXT, 1));
    vtd_store(s, VTD_PASID_DIR, vtd_ram(s, VTD_PASID_TABLE, 1));
    vtd_pasid(s, VTD_RID_PASID, true);
    vtd_pasid(s, VTD_PASID, true);
    for (unsigned fn = 0; fn <= ATS_VFS; fn++) {
        vtd_context(s, fn, true, true);
    }
}

static void vtd_start(VTD *s, bool scalable, const char *options)
{
    g_autofree char *args = g_strdup_printf("-device intel-iommu,"
        "device-iotlb=on%s%s", scalable ? ",x-scalable-mode=on,x-flts=on" : "",
        options);

    memset(s, 0, sizeof(*s));
    s->scalable = scalable;
    s->desc_size = scalable ? 32 : 16;
    ats_start(&s->t, &vtd_machine, args, scalable ? ",pasid=on" : "");
    vtd_tables(s);
    vtd_writeq(s, VTD_RTADDR,
               vtd_ram(s, VTD_ROOT, scalable ? VTD_RTADDR_SMT : 0));
    vtd_writel(s, VTD_GCMD, VTD_GCMD_SRTP);
    vtd_writeq(s, VTD_IQA, vtd_ram(s, VTD_QUEUE, scalable ? VTD_IQA_DW : 0));
    vtd_writel(s, VTD_GCMD, VTD_GCMD_QIE);
    vtd_writel(s, VTD_GCMD, VTD_GCMD_QIE | VTD_GCMD_TE);
    g_assert_cmphex(vtd_readl(s, VTD_GSTS), ==,
                    VTD_GCMD_SRTP | VTD_GCMD_QIE | VTD_GCMD_TE);
    for (unsigned fn = 0; fn <= ATS_VFS; fn++) {
        ats_enable(&s->t, fn, true);
    }
}

static void vtd_desc(VTD *s, uint64_t lo, uint64_t hi)
{
    vtd_store(s, VTD_QUEUE + s->tail, lo);
    vtd_store(s, VTD_QUEUE + s->tail + 8, hi);
    if (s->desc_size == 32) {
        vtd_store(s, VTD_QUEUE + s->tail + 16, 0);
        vtd_store(s, VTD_QUEUE + s->tail + 24, 0);
    }
    s->tail = (s->tail + s->desc_size) % VTD_QUEUE_SIZE;
}

static void vtd_go(VTD *s)
{
    vtd_writeq(s, VTD_IQT, s->tail);
}

/* Descriptors that are not fetched */
static unsigned vtd_left(VTD *s)
{
    return (s->tail - vtd_readq(s, VTD_IQH)) % VTD_QUEUE_SIZE / s->desc_size;
}

static void vtd_inv(VTD *s, unsigned fn, uint64_t addr, bool size)
{
    vtd_desc(s, (uint64_t)ATS_SID(fn) << 32 | VTD_DESC_DEVICE_TLB,
             addr | size);
}

static void vtd_inv_page(VTD *s, unsigned fn, unsigned page)
{
    vtd_inv(s, fn, ATS_IOVA_OF(page), false);
}

/* A wait descriptor that writes @status to the slot of that number */
static void vtd_wait_flags(VTD *s, unsigned slot, uint32_t status,
                           unsigned flags)
{
    vtd_desc(s, (uint64_t)status << 32 | VTD_WAIT_SW | flags | VTD_DESC_WAIT,
             vtd_ram(s, VTD_STATUS + slot * 4, 0));
}

static void vtd_wait(VTD *s, unsigned slot, uint32_t status)
{
    vtd_wait_flags(s, slot, status, 0);
}

static uint32_t vtd_status(VTD *s, unsigned slot)
{
    return qtest_readl(s->t.qts, ats_ram(&s->t, VTD_STATUS + slot * 4));
}

static void vtd_invalidate_context(VTD *s)
{
    vtd_desc(s, VTD_GRANULARITY_GLOBAL | VTD_DESC_CONTEXT, 0);
    vtd_wait(s, 15, 0);
    vtd_go(s);
    g_assert_cmpuint(vtd_left(s), ==, 0);
}

static bool vtd_ite(VTD *s)
{
    return vtd_readl(s, VTD_FSTS) & VTD_FSTS_ITE;
}

static void vtd_clear_ite(VTD *s)
{
    vtd_writel(s, VTD_FSTS, VTD_FSTS_ITE);
}

static void fill(VTD *s, unsigned fn)
{
    g_assert_cmpuint(ats_translate(&s->t, fn, 1), ==, ATSX_RESULT_OK);
    g_assert_true(ats_cached(&s->t, fn, 1));
}

/* A fault of @fn is recorded, 7.2.1; make room for the next one */
static void assert_fault(VTD *s, unsigned reason, unsigned fn, uint64_t addr)
{
    uint64_t hi = vtd_readq(s, VTD_FRCD + 8);

    g_assert_cmphex(vtd_readl(s, VTD_FSTS) & VTD_FSTS_PPF, !=, 0);
    g_assert_cmphex(hi >> 63, ==, 1);
    g_assert_cmphex(hi >> 32 & 0xff, ==, reason);
    g_assert_cmphex(hi & 0xffff, ==, ATS_SID(fn));
    g_assert_cmphex(vtd_readq(s, VTD_FRCD), ==, addr & ~0xfffULL);
    vtd_writel(s, VTD_FRCD + 12, 1U << 31);
    g_assert_cmphex(vtd_readl(s, VTD_FSTS) & VTD_FSTS_PPF, ==, 0);
}

static void assert_times_out(VTD *s, int64_t ns)
{
    ats_step(&s->t, ns - 1);
    g_assert_false(vtd_ite(s));
    ats_step(&s->t, 1);
    g_assert_true(vtd_ite(s));
}

static void test_caps(void)
{
    VTD s;

    vtd_start(&s, false, "");
    g_assert_cmphex(vtd_readq(&s, VTD_ECAP) & VTD_ECAP_DT, !=, 0);
    g_assert_cmphex(vtd_readq(&s, VTD_IQER), ==, 0);
    g_assert_false(vtd_ite(&s));
    ats_stop(&s.t);
}

/* 9.3: TT at the time of the access */
static void test_tt(void)
{
    VTD s;

    vtd_start(&s, false, "");
    fill(&s, 1);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN), ==,
                     ATSX_RESULT_OK);
    g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==, PATTERN);

    /* 6.2.2: the context entry is cached until it is invalidated */
    vtd_context(&s, 1, true, false);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 1), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_translate(&s.t, 1, 2), ==, ATSX_RESULT_OK);

    vtd_invalidate_context(&s);
    g_assert_cmpuint(ats_translate(&s.t, 1, 3), ==, ATSX_RESULT_REJECTED);
    assert_fault(&s, VTD_FR_TT, 1, ATS_IOVA_OF(3));
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 2), ==,
                     ATSX_RESULT_REJECTED);
    assert_fault(&s, VTD_FR_TT, 1, ats_data(&s.t, 1));
    g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==, 1);

    /* Another function is not concerned, nor is untranslated DMA */
    fill(&s, 2);
    ats_writeq(&s.t, 1, ATSX_DMA_PATTERN, 3);
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_WRITE, 0, ATS_IOVA_OF(1), 8),
                     ==, ATSX_RESULT_OK);

    /* Not present; then as it was */
    vtd_context(&s, 1, false, true);
    vtd_invalidate_context(&s);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 2), ==,
                     ATSX_RESULT_REJECTED);
    vtd_context(&s, 1, true, true);
    vtd_invalidate_context(&s);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 4), ==, ATSX_RESULT_OK);

    /* Without remapping both are refused */
    vtd_writel(&s, VTD_GCMD, VTD_GCMD_QIE);
    g_assert_cmpuint(ats_translate(&s.t, 1, 3), ==, ATSX_RESULT_REJECTED);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 5), ==,
                     ATSX_RESULT_REJECTED);
    ats_stop(&s.t);
}

/* 9.4, 9.6: DTE and the PASID entry */
static void test_dte(void)
{
    VTD s;

    vtd_start(&s, true, "");
    fill(&s, 1);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN), ==,
                     ATSX_RESULT_OK);
    g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==, PATTERN);

    vtd_context(&s, 1, true, false);
    vtd_invalidate_context(&s);
    g_assert_cmpuint(ats_translate(&s.t, 1, 3), ==, ATSX_RESULT_REJECTED);
    assert_fault(&s, VTD_FR_DTE, 1, ATS_IOVA_OF(3));
    g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, 2), ==,
                     ATSX_RESULT_REJECTED);
    assert_fault(&s, VTD_FR_DTE, 1, ats_data(&s.t, 1));
    g_assert_cmphex(qtest_readq(s.t.qts, ats_data(&s.t, 1)), ==, PATTERN);

    vtd_context(&s, 1, true, true);
    vtd_invalidate_context(&s);
    fill(&s, 1);
    vtd_pasid(&s, VTD_RID_PASID, false);
    g_assert_cmpuint(ats_translate(&s.t, 1, 3), ==, ATSX_RESULT_REJECTED);
    assert_fault(&s, VTD_FR_PASID_ENTRY_P, 1, ATS_IOVA_OF(3));
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_READ, 0, ATS_IOVA_OF(3), 8),
                     ==, ATSX_RESULT_REJECTED);
    assert_fault(&s, VTD_FR_PASID_ENTRY_P, 1, ATS_IOVA_OF(3));
    vtd_pasid(&s, VTD_RID_PASID, true);
    g_assert_cmpuint(ats_translate(&s.t, 1, 3), ==, ATSX_RESULT_OK);
    ats_stop(&s.t);
}

/* PCIe 10.2.3 */
static void test_translate(gconstpointer data)
{
    unsigned last = ATS_PAGES - 1;
    VTD s;

    vtd_start(&s, !!data, "");
    g_assert_cmpuint(ats_translate(&s.t, 1, last), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_write_translated(&s.t, 1, last, 1), ==,
                     ATSX_RESULT_NO_ENTRY);
    g_assert_cmpuint(ats_command(&s.t, 1, ATSX_CMD_READ, ATSX_DMA_TRANSLATED,
                                 ATS_IOVA_OF(last), 8), ==, ATSX_RESULT_OK);
    g_assert_cmpuint(ats_translate(&s.t, 1, ATS_PAGES), ==,
                     ATSX_RESULT_REJECTED);
    g_assert_cmphex(vtd_readl(&s, VTD_FSTS), ==, 0);
    ats_stop(&s.t);
}

/* 6.5.2.5: address and size */
static void test_invalidate(gconstpointer data)
{
    VTD s;

    vtd_start(&s, !!data, "");
    for (unsigned fn = 0; fn <= 1; fn++) {
        g_assert_cmpuint(ats_command(&s.t, fn, ATSX_CMD_TRANSLATE, 0, ATS_IOVA,
                                     ATS_PAGES * ATS_PAGE), ==, ATSX_RESULT_OK);
        g_assert_cmpuint(ats_host(&s.t, fn, "atc-entries"), ==, ATS_PAGES);
    }
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 1);
    g_assert_true(ats_cached(&s.t, 1, 0));
    g_assert_false(ats_cached(&s.t, 1, 1));
    g_assert_true(ats_cached(&s.t, 1, 2));

    /* S, and the lowest zero bit of the address at bit 13: four pages */
    vtd_inv(&s, 1, ATS_IOVA_OF(4) | 1 << 12, true);
    vtd_wait(&s, 0, 2);
    vtd_go(&s);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 2);
    g_assert_true(ats_cached(&s.t, 1, 3));
    for (unsigned page = 4; page < 8; page++) {
        g_assert_false(ats_cached(&s.t, 1, page));
    }
    g_assert_true(ats_cached(&s.t, 1, 8));

    /* Everything */
    vtd_inv(&s, 1, 0x7ffffffffffff000ULL, true);
    vtd_wait(&s, 0, 3);
    vtd_go(&s);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 3);
    g_assert_cmpuint(ats_host(&s.t, 1, "atc-entries"), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 3);
    g_assert_cmpuint(ats_host(&s.t, 0, "atc-entries"), ==, ATS_PAGES);
    g_assert_cmpuint(ats_host(&s.t, 0, "inv-received"), ==, 0);
    ats_stop(&s.t);
}

static uint32_t command_pasid(VTD *s, uint32_t cmd, unsigned page)
{
    ats_writel(&s->t, 0, ATSX_DMA_PASID, VTD_PASID);
    return ats_command(&s->t, 0, cmd, ATSX_DMA_PASID_VALID, ATS_IOVA_OF(page),
                       ATS_PAGE);
}

static bool cached_pasid(VTD *s, unsigned page)
{
    g_assert_cmpuint(command_pasid(s, ATSX_CMD_LOOKUP, page), ==,
                     ATSX_RESULT_OK);
    return ats_readl(&s->t, 0, ATSX_DMA_COUNT) == ATS_PAGE;
}

/* 6.5.2.6: the ATC goes by PASID, too */
static void test_pasid(void)
{
    unsigned cap;
    VTD s;

    vtd_start(&s, true, "");
    cap = ats_ext_cap(&s.t, 0, PCI_EXT_CAP_ID_PASID);
    g_assert_cmpuint(command_pasid(&s, ATSX_CMD_TRANSLATE, 1), ==,
                     ATSX_RESULT_DISABLED);
    ats_config_writew(&s.t, 0, cap + PCI_PASID_CTRL, PCI_PASID_CTRL_ENABLE);

    for (int global = 0; global <= 1; global++) {
        g_assert_cmpuint(command_pasid(&s, ATSX_CMD_TRANSLATE, 1), ==,
                         ATSX_RESULT_OK);
        fill(&s, 0);

        /* Another PASID's; then, with G, everybody's but the RID's */
        vtd_desc(&s, 9ULL << 32 | (uint64_t)ATS_SID(0) << 16 |
                     VTD_DESC_DEVICE_PTLB, ATS_IOVA_OF(1) | global);
        vtd_wait(&s, 0, 1 + global);
        vtd_go(&s);
        g_assert_cmpuint(vtd_status(&s, 0), ==, 1 + global);
        g_assert_true(ats_cached(&s.t, 0, 1));
        g_assert_cmpint(cached_pasid(&s, 1), ==, !global);
    }

    /* Without a PASID, the RID's only; with one, that one's only */
    g_assert_cmpuint(command_pasid(&s, ATSX_CMD_TRANSLATE, 1), ==,
                     ATSX_RESULT_OK);
    vtd_inv_page(&s, 0, 1);
    vtd_go(&s);
    g_assert_false(ats_cached(&s.t, 0, 1));
    g_assert_true(cached_pasid(&s, 1));
    fill(&s, 0);
    vtd_desc(&s, (uint64_t)VTD_PASID << 32 | (uint64_t)ATS_SID(0) << 16 |
                 VTD_DESC_DEVICE_PTLB, ATS_IOVA_OF(1));
    vtd_go(&s);
    g_assert_true(ats_cached(&s.t, 0, 1));
    g_assert_false(cached_pasid(&s, 1));

    /* 9.6: its PASID entry is gone, the RID's is not */
    vtd_pasid(&s, VTD_PASID, false);
    g_assert_cmpuint(command_pasid(&s, ATSX_CMD_TRANSLATE, 2), ==,
                     ATSX_RESULT_REJECTED);
    g_assert_cmpuint(ats_translate(&s.t, 0, 2), ==, ATSX_RESULT_OK);
    ats_stop(&s.t);
}

/*
 * 6.5.2.10: ITE, pending waits aborted, no fetch until ITE is cleared, IQER
 * with the source-id
 */
static void test_timeout(gconstpointer data)
{
    VTD s;

    vtd_start(&s, !!data, "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    assert_times_out(&s, TIMEOUT);
    g_assert_cmphex(vtd_readq(&s, VTD_IQER), ==, (uint64_t)ATS_SID(1) << 32);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
    /* IQH is behind what was fetched */
    g_assert_cmpuint(vtd_left(&s), ==, 0);

    vtd_inv_page(&s, 2, 1);
    vtd_wait(&s, 1, 2);
    vtd_go(&s);
    ats_still(&s.t, vtd_left(&s) == 2);
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_cmpuint(vtd_left(&s), ==, 2);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 0);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 0);

    vtd_clear_ite(&s);
    g_assert_false(vtd_ite(&s));
    ats_wait(&s.t, vtd_left(&s) == 0);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-answered"), ==, 1);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 2);
    /* What was aborted stays so */
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 1);
    g_assert_true(ats_cached(&s.t, 1, 1));
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_false(vtd_ite(&s));
    ats_stop(&s.t);
}

static void test_no_sid(void)
{
    VTD s;

    vtd_start(&s, false, ",ite-sid=off");
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    vtd_inv_page(&s, 1, 1);
    vtd_go(&s);
    assert_times_out(&s, TIMEOUT);
    g_assert_cmphex(vtd_readq(&s, VTD_IQER), ==, 0);
    ats_stop(&s.t);
}

/* late-status=on: the write comes once, when another wait has the address */
static void test_late_status(void)
{
    VTD s;

    vtd_start(&s, false, ",late-status=on");
    ats_policy(&s.t, 1, ATSX_INV_DROP_N, 1);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    assert_times_out(&s, TIMEOUT);
    vtd_clear_ite(&s);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);

    /* Neither another address nor a wait with nothing before it */
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 50);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 1, 2);
    vtd_go(&s);
    ats_step(&s.t, 50 * ATS_MS);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 2);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);

    for (unsigned status = 3; status < 5; status++) {
        uint32_t before = status == 3 ? 1 : 3;

        vtd_inv_page(&s, 1, 1);
        vtd_wait(&s, 0, status);
        vtd_go(&s);
        ats_step(&s.t, 50 * ATS_MS - 1);
        g_assert_cmpuint(vtd_status(&s, 0), ==, before);
        ats_step(&s.t, 1);
        g_assert_cmpuint(vtd_status(&s, 0), ==, status);
    }
    ats_stop(&s.t);
}

static void test_timeout_property(gconstpointer data)
{
    unsigned ms = GPOINTER_TO_UINT(data);
    g_autofree char *options = g_strdup_printf(",device-iotlb-timeout=%u", ms);
    VTD s;

    vtd_start(&s, false, options);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 100000);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    if (ms) {
        assert_times_out(&s, ms * ATS_MS);
    } else {
        ats_step(&s.t, 100000 * ATS_MS - 1);
        g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
        ats_step(&s.t, 1);
        g_assert_cmpuint(vtd_status(&s, 0), ==, 1);
    }
    ats_stop(&s.t);
}

static void test_answer_in_time(void)
{
    VTD s;

    vtd_start(&s, false, "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 99);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    ats_step(&s.t, 99 * ATS_MS - 1);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
    ats_step(&s.t, 1);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 1);
    g_assert_false(ats_cached(&s.t, 1, 1));
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_false(vtd_ite(&s));
    ats_stop(&s.t);
}

/* An answer after the IOMMU gave up does nothing but empty the ATC */
static void test_answer_late(void)
{
    VTD s;

    vtd_start(&s, false, "");
    fill(&s, 1);
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 150);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    assert_times_out(&s, TIMEOUT);
    vtd_clear_ite(&s);

    /* The next wait waits for its own invalidation, not for that answer */
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    vtd_inv_page(&s, 1, 2);
    vtd_wait(&s, 1, 2);
    vtd_go(&s);
    ats_step(&s.t, 50 * ATS_MS);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-answered"), ==, 1);
    g_assert_false(ats_cached(&s.t, 1, 1));
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 0);
    assert_times_out(&s, 50 * ATS_MS);
    ats_stop(&s.t);
}

/* 6.5.2.9: a wait is for what is before it; FN keeps back what is behind it */
static void test_waits(void)
{
    VTD s;

    vtd_start(&s, false, "");
    ats_policy(&s.t, 1, ATSX_INV_DELAY, 50);
    vtd_wait(&s, 0, 1);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 1, 1);
    vtd_inv_page(&s, 2, 1);
    vtd_wait_flags(&s, 2, 1, VTD_WAIT_FN);
    vtd_inv_page(&s, 3, 1);
    vtd_wait_flags(&s, 3, 1, VTD_WAIT_IF);
    vtd_go(&s);
    g_assert_cmpuint(vtd_left(&s), ==, 2);
    g_assert_cmpuint(vtd_status(&s, 0), ==, 1);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 0);
    g_assert_cmpuint(ats_host(&s.t, 2, "inv-received"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 3, "inv-received"), ==, 0);

    ats_step(&s.t, 50 * ATS_MS - 1);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 0);
    g_assert_cmphex(vtd_readl(&s, VTD_ICS) & VTD_ICS_IWC, ==, 0);
    ats_step(&s.t, 1);
    ats_wait(&s.t, vtd_left(&s) == 0);
    for (unsigned slot = 1; slot <= 3; slot++) {
        g_assert_cmpuint(vtd_status(&s, slot), ==, 1);
    }
    g_assert_cmpuint(ats_host(&s.t, 3, "inv-received"), ==, 1);
    g_assert_cmphex(vtd_readl(&s, VTD_ICS) & VTD_ICS_IWC, !=, 0);
    ats_stop(&s.t);
}

/* Two CPUs' batches: all waits are aborted, those of the innocent as well */
static void test_two_waits(void)
{
    VTD s;

    vtd_start(&s, false, "");
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    ats_policy(&s.t, 2, ATSX_INV_DELAY, 70);
    fill(&s, 2);
    vtd_inv_page(&s, 1, 1);
    vtd_wait_flags(&s, 0, 1, VTD_WAIT_IF);
    vtd_go(&s);
    ats_step(&s.t, 60 * ATS_MS);
    vtd_inv_page(&s, 2, 1);
    vtd_wait_flags(&s, 1, 1, VTD_WAIT_IF);
    vtd_go(&s);
    assert_times_out(&s, 40 * ATS_MS);
    g_assert_cmphex(vtd_readq(&s, VTD_IQER), ==, (uint64_t)ATS_SID(1) << 32);

    /* A wait that comes after it is for the innocent's invalidation */
    vtd_clear_ite(&s);
    vtd_wait(&s, 2, 1);
    vtd_go(&s);
    ats_step(&s.t, 30 * ATS_MS - 1);
    g_assert_cmpuint(vtd_status(&s, 2), ==, 0);
    g_assert_true(ats_cached(&s.t, 2, 1));
    ats_step(&s.t, 1);
    g_assert_cmpuint(vtd_status(&s, 2), ==, 1);
    g_assert_false(ats_cached(&s.t, 2, 1));
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 0);
    g_assert_cmphex(vtd_readl(&s, VTD_ICS) & VTD_ICS_IWC, ==, 0);
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_false(vtd_ite(&s));
    ats_stop(&s.t);
}

/* Each invalidation has its own time; what expires with ITE set is forgotten */
static void test_own_time(void)
{
    VTD s;

    vtd_start(&s, false, "");
    ats_policy(&s.t, 1, ATSX_INV_DROP, 0);
    ats_policy(&s.t, 2, ATSX_INV_DROP, 0);
    vtd_inv_page(&s, 1, 1);
    vtd_go(&s);
    ats_step(&s.t, 60 * ATS_MS);
    vtd_inv_page(&s, 2, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    assert_times_out(&s, 40 * ATS_MS);
    vtd_clear_ite(&s);
    assert_times_out(&s, 60 * ATS_MS);
    g_assert_cmphex(vtd_readq(&s, VTD_IQER), ==, (uint64_t)ATS_SID(2) << 32);
    vtd_clear_ite(&s);

    /* Two of a batch expire together, and ITE is set once */
    vtd_inv_page(&s, 2, 1);
    vtd_inv_page(&s, 1, 1);
    vtd_wait(&s, 0, 1);
    vtd_go(&s);
    assert_times_out(&s, TIMEOUT);
    g_assert_cmphex(vtd_readq(&s, VTD_IQER), ==, (uint64_t)ATS_SID(2) << 32);
    vtd_clear_ite(&s);
    vtd_wait(&s, 1, 1);
    vtd_go(&s);
    g_assert_cmpuint(vtd_status(&s, 1), ==, 1);
    ats_step(&s.t, 10 * TIMEOUT);
    g_assert_false(vtd_ite(&s));
    g_assert_cmpuint(vtd_status(&s, 0), ==, 0);
    ats_stop(&s.t);
}

/* UR and a lie are answers, and leave the device-TLB as it is */
static void test_lie_and_ur(void)
{
    static const uint32_t policies[] = { ATSX_INV_LIE, ATSX_INV_UR };
    VTD s;

    vtd_start(&s, false, "");
    fill(&s, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(policies); i++) {
        ats_policy(&s.t, 1, policies[i], 0);
        vtd_inv_page(&s, 1, 1);
        vtd_wait(&s, 0, 1 + i);
        vtd_go(&s);
        g_assert_cmpuint(vtd_status(&s, 0), ==, 1 + i);
        g_assert_true(ats_cached(&s.t, 1, 1));
        g_assert_cmpuint(ats_write_translated(&s.t, 1, 1, PATTERN + i), ==,
                         ATSX_RESULT_OK);
    }
    ats_stop(&s.t);
}

static void test_inv_fenced(void)
{
    VTD s;

    vtd_start(&s, false, "");
    vtd_inv_page(&s, 1, 1);
    vtd_go(&s);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-fenced"), ==, 0);
    vtd_context(&s, 1, true, false);
    vtd_invalidate_context(&s);
    vtd_inv_page(&s, 1, 1);
    vtd_go(&s);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-fenced"), ==, 1);
    g_assert_cmpuint(ats_host(&s.t, 1, "inv-received"), ==, 2);
    /* Looking is not asking */
    g_assert_cmphex(vtd_readl(&s, VTD_FSTS), ==, 0);
    ats_stop(&s.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/caps", test_caps);
    qtest_add_func("/vtd/tt", test_tt);
    qtest_add_func("/vtd/dte", test_dte);
    qtest_add_data_func("/vtd/legacy/translate", NULL, test_translate);
    qtest_add_data_func("/vtd/scalable/translate", GUINT_TO_POINTER(1),
                        test_translate);
    qtest_add_data_func("/vtd/legacy/invalidate", NULL, test_invalidate);
    qtest_add_data_func("/vtd/scalable/invalidate", GUINT_TO_POINTER(1),
                        test_invalidate);
    qtest_add_func("/vtd/scalable/pasid", test_pasid);
    qtest_add_data_func("/vtd/legacy/timeout", NULL, test_timeout);
    qtest_add_data_func("/vtd/scalable/timeout", GUINT_TO_POINTER(1),
                        test_timeout);
    qtest_add_func("/vtd/no-sid", test_no_sid);
    qtest_add_func("/vtd/late-status", test_late_status);
    qtest_add_data_func("/vtd/timeout-0", GUINT_TO_POINTER(0),
                        test_timeout_property);
    qtest_add_data_func("/vtd/timeout-1", GUINT_TO_POINTER(1),
                        test_timeout_property);
    qtest_add_data_func("/vtd/timeout-3000", GUINT_TO_POINTER(3000),
                        test_timeout_property);
    qtest_add_func("/vtd/answer-in-time", test_answer_in_time);
    qtest_add_func("/vtd/answer-late", test_answer_late);
    qtest_add_func("/vtd/waits", test_waits);
    qtest_add_func("/vtd/two-waits", test_two_waits);
    qtest_add_func("/vtd/own-time", test_own_time);
    qtest_add_func("/vtd/lie-and-ur", test_lie_and_ur);
    qtest_add_func("/vtd/inv-fenced", test_inv_fenced);
    return g_test_run();
}
