/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of Address Translation Services share, see ats-test.h
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "ats-test.h"
#include "qobject/qdict.h"

#define ATS_PORT_SLOT           4
#define ATS_DATA                0x800000

/* BARs in the window of the root port */
#define ATS_WINDOW              0x100000
#define ATS_BAR_MSIX            0x01000
#define ATS_VF_BAR_REGS         0x10000
#define ATS_VF_BAR_MSIX         0x20000

static uint64_t ats_config(ATSTest *t, unsigned bus, unsigned devfn,
                           unsigned offset)
{
    return t->m->ecam + (bus << 20 | devfn << 12 | offset);
}

uint32_t ats_config_readl(ATSTest *t, unsigned fn, unsigned offset)
{
    return qtest_readl(t->qts, ats_config(t, 1, fn, offset));
}

uint16_t ats_config_readw(ATSTest *t, unsigned fn, unsigned offset)
{
    return qtest_readw(t->qts, ats_config(t, 1, fn, offset));
}

void ats_config_writew(ATSTest *t, unsigned fn, unsigned offset, uint16_t val)
{
    qtest_writew(t->qts, ats_config(t, 1, fn, offset), val);
}

static void ats_config_writel(ATSTest *t, unsigned fn, unsigned offset,
                              uint32_t val)
{
    qtest_writel(t->qts, ats_config(t, 1, fn, offset), val);
}

uint16_t ats_port_readw(ATSTest *t, unsigned offset)
{
    return qtest_readw(t->qts, ats_config(t, 0, ATS_PORT_SLOT << 3, offset));
}

void ats_port_writew(ATSTest *t, unsigned offset, uint16_t val)
{
    qtest_writew(t->qts, ats_config(t, 0, ATS_PORT_SLOT << 3, offset), val);
}

unsigned ats_cap(ATSTest *t, unsigned fn, uint8_t id)
{
    unsigned pos = ats_config_readw(t, fn, PCI_CAPABILITY_LIST) & 0xff;

    while (pos) {
        uint16_t header = ats_config_readw(t, fn, pos);

        if ((header & 0xff) == id) {
            break;
        }
        pos = header >> 8;
    }
    return pos;
}

unsigned ats_ext_cap(ATSTest *t, unsigned fn, uint16_t id)
{
    unsigned pos = PCI_CFG_SPACE_SIZE;

    while (pos) {
        uint32_t header = ats_config_readl(t, fn, pos);

        if (PCI_EXT_CAP_ID(header) == id) {
            break;
        }
        pos = PCI_EXT_CAP_NEXT(header);
    }
    return pos;
}

void ats_enable_vfs(ATSTest *t, bool enable)
{
    unsigned cap = ats_ext_cap(t, 0, PCI_EXT_CAP_ID_SRIOV);

    g_assert(cap);
    if (enable) {
        ats_config_writew(t, 0, cap + PCI_SRIOV_NUM_VF, ATS_VFS);
    }
    ats_config_writew(t, 0, cap + PCI_SRIOV_CTRL,
                      enable ? PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE : 0);
}

void ats_set_up_vf(ATSTest *t, unsigned fn)
{
    /* Memory Space Enable of a VF is hardwired to 0 in hardware, not in QEMU */
    ats_config_writew(t, fn, PCI_COMMAND,
                      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

void ats_set_up_pf(ATSTest *t)
{
    unsigned cap = ats_ext_cap(t, 0, PCI_EXT_CAP_ID_SRIOV);
    uint64_t mmio = t->m->mmio;

    ats_config_writel(t, 0, PCI_BASE_ADDRESS_0, mmio);
    ats_config_writel(t, 0, PCI_BASE_ADDRESS_1, 0);
    ats_config_writel(t, 0, PCI_BASE_ADDRESS_2, mmio + ATS_BAR_MSIX);
    ats_config_writel(t, 0, PCI_BASE_ADDRESS_3, 0);
    ats_config_writew(t, 0, PCI_COMMAND,
                      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    if (!cap) {
        return;
    }
    ats_config_writel(t, 0, cap + PCI_SRIOV_BAR, mmio + ATS_VF_BAR_REGS);
    ats_config_writel(t, 0, cap + PCI_SRIOV_BAR + 4, 0);
    ats_config_writel(t, 0, cap + PCI_SRIOV_BAR + 8, mmio + ATS_VF_BAR_MSIX);
    ats_config_writel(t, 0, cap + PCI_SRIOV_BAR + 12, 0);
    ats_enable_vfs(t, true);
    for (unsigned fn = 1; fn <= ATS_VFS; fn++) {
        ats_set_up_vf(t, fn);
    }
}

void ats_enable(ATSTest *t, unsigned fn, bool enable)
{
    unsigned cap = ats_ext_cap(t, fn, PCI_EXT_CAP_ID_ATS);

    g_assert(cap);
    ats_config_writew(t, fn, cap + PCI_ATS_CTRL,
                      enable ? PCI_ATS_CTRL_ENABLE : 0);
}

void ats_flr(ATSTest *t, unsigned fn)
{
    unsigned cap = ats_cap(t, fn, PCI_CAP_ID_EXP);

    g_assert(cap);
    ats_config_writew(t, fn, cap + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
}

void ats_enable_msix(ATSTest *t, uint64_t addr, uint32_t data)
{
    unsigned cap = ats_cap(t, 0, PCI_CAP_ID_MSIX);
    uint64_t table = t->m->mmio + ATS_BAR_MSIX;

    g_assert(cap);
    qtest_writeq(t->qts, table + PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    qtest_writel(t->qts, table + PCI_MSIX_ENTRY_DATA, data);
    qtest_writel(t->qts, table + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    ats_config_writew(t, 0, cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
}

/* A PC does not start without a firmware; nobody runs it */
static void ats_make_firmware(ATSTest *t)
{
    int fd = g_file_open_tmp("ats-test-XXXXXX", &t->firmware, NULL);

    g_assert(fd >= 0);
    g_assert(ftruncate(fd, 64 * KiB) == 0);
    close(fd);
}

void ats_start(ATSTest *t, const ATSMachine *m, const char *args,
               const char *props)
{
    g_autofree char *bios = NULL;

    t->m = m;
    if (m->pc) {
        ats_make_firmware(t);
        bios = g_strdup_printf("-bios %s", t->firmware);
    }
    t->qts = qtest_initf("-m 128 -nodefaults %s %s %s "
                         "-device pcie-root-port,id=rp0,chassis=1,addr=%d "
                         "-device ats-exerciser,id=ex0,bus=rp0,vfs=%d%s",
                         m->args, bios ? bios : "", args, ATS_PORT_SLOT,
                         ATS_VFS, props);
    if (m->pc) {
        unlink(t->firmware);
        qtest_outl(t->qts, 0xcf8, 0x80000060);
        qtest_outl(t->qts, 0xcfc, m->ecam | 1);
    }
    ats_port_writew(t, PCI_PRIMARY_BUS, 1 << 8);
    ats_port_writew(t, PCI_SUBORDINATE_BUS, 1);
    ats_port_writew(t, PCI_MEMORY_BASE, m->mmio >> 16);
    ats_port_writew(t, PCI_MEMORY_LIMIT, (m->mmio + ATS_WINDOW - 1) >> 16);
    ats_port_writew(t, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    ats_set_up_pf(t);
}

void ats_stop(ATSTest *t)
{
    qtest_quit(t->qts);
    g_clear_pointer(&t->firmware, g_free);
}

uint64_t ats_ram(ATSTest *t, uint64_t offset)
{
    return t->m->ram + offset;
}

uint64_t ats_data(ATSTest *t, unsigned page)
{
    return ats_ram(t, ATS_DATA + page * ATS_PAGE);
}

uint64_t ats_reg(ATSTest *t, unsigned fn, unsigned reg)
{
    return t->m->mmio + reg +
           (fn ? ATS_VF_BAR_REGS + (fn - 1) * ATSX_BAR_REGS_SIZE : 0);
}

uint32_t ats_readl(ATSTest *t, unsigned fn, unsigned reg)
{
    return qtest_readl(t->qts, ats_reg(t, fn, reg));
}

uint64_t ats_readq(ATSTest *t, unsigned fn, unsigned reg)
{
    return qtest_readq(t->qts, ats_reg(t, fn, reg));
}

void ats_writel(ATSTest *t, unsigned fn, unsigned reg, uint32_t val)
{
    qtest_writel(t->qts, ats_reg(t, fn, reg), val);
}

void ats_writeq(ATSTest *t, unsigned fn, unsigned reg, uint64_t val)
{
    qtest_writeq(t->qts, ats_reg(t, fn, reg), val);
}

uint32_t ats_command(ATSTest *t, unsigned fn, uint32_t cmd, uint32_t flags,
                     uint64_t addr, uint32_t len)
{
    ats_writeq(t, fn, ATSX_DMA_ADDR, addr);
    ats_writel(t, fn, ATSX_DMA_LEN, len);
    ats_writel(t, fn, ATSX_DMA_FLAGS, flags);
    ats_writel(t, fn, ATSX_DMA_CMD, cmd);
    ats_wait(t, ats_readl(t, fn, ATSX_DMA_RESULT) != ATSX_RESULT_BUSY);
    return ats_readl(t, fn, ATSX_DMA_RESULT);
}

uint32_t ats_translate(ATSTest *t, unsigned fn, unsigned page)
{
    return ats_command(t, fn, ATSX_CMD_TRANSLATE, 0, ATS_IOVA_OF(page),
                       ATS_PAGE);
}

uint32_t ats_write_translated(ATSTest *t, unsigned fn, unsigned page,
                              uint64_t pattern)
{
    ats_writeq(t, fn, ATSX_DMA_PATTERN, pattern);
    return ats_command(t, fn, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED,
                       ATS_IOVA_OF(page), 8);
}

bool ats_cached(ATSTest *t, unsigned fn, unsigned page)
{
    g_assert_cmphex(ats_command(t, fn, ATSX_CMD_LOOKUP, 0, ATS_IOVA_OF(page),
                                ATS_PAGE), ==, ATSX_RESULT_OK);
    return ats_readl(t, fn, ATSX_DMA_COUNT) == ATS_PAGE;
}

uint64_t ats_host(ATSTest *t, unsigned fn, const char *name)
{
    g_autofree char *property = g_strdup_printf("fn%u-%s", fn, name);
    QDict *rsp = qtest_qmp(t->qts, "{ 'execute': 'qom-get', 'arguments': {"
                           " 'path': '/machine/peripheral/ex0',"
                           " 'property': %s } }", property);
    uint64_t val;

    g_assert(qdict_haskey(rsp, "return"));
    val = qdict_get_int(rsp, "return");
    qobject_unref(rsp);
    return val;
}

bool ats_host_try(ATSTest *t, unsigned fn, const char *name, uint64_t val)
{
    g_autofree char *property = g_strdup_printf("fn%u-%s", fn, name);
    QDict *rsp = qtest_qmp(t->qts, "{ 'execute': 'qom-set', 'arguments': {"
                           " 'path': '/machine/peripheral/ex0',"
                           " 'property': %s, 'value': %" PRIu64 " } }",
                           property, val);
    bool done = qdict_haskey(rsp, "return");

    qobject_unref(rsp);
    return done;
}

void ats_host_set(ATSTest *t, unsigned fn, const char *name, uint64_t val)
{
    g_assert(ats_host_try(t, fn, name, val));
}

void ats_policy(ATSTest *t, unsigned fn, uint32_t policy, uint32_t param)
{
    ats_host_set(t, fn, "inv-param", param);
    ats_host_set(t, fn, "inv-policy", policy);
}

void ats_step(ATSTest *t, int64_t ns)
{
    qtest_clock_step(t->qts, ns);
    ats_settle(t);
}

void ats_settle(ATSTest *t)
{
    /* Each request takes the main loop round at least once */
    for (int i = 0; i < 4; i++) {
        qtest_readl(t->qts, ats_config(t, 0, 0, 0));
    }
}
