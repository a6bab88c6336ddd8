/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ats-exerciser: a PCIe endpoint with an Address Translation Cache (ATC) that
 * can be told to misbehave
 *
 * The registers are described in hw/misc/ats_exerciser_regs.h, the device's
 * properties and its use in docs/specs/ats-exerciser.rst. Section numbers are
 * those of PCIe r6.0.
 *
 *   ats-exerciser.c        config space, registers, reset, the host's readings
 *   ats-exerciser-atc.c    the ATC and what becomes of Invalidate Requests
 *   ats-exerciser-dma.c    the DMA engine
 *
 * Limitations:
 *  - A command runs to its end in one go, so no invalidation overtakes a
 *    translation or a DMA that is under way, and reads and writes that were
 *    sent before an Invalidate Completion have always landed (10.3.3 holds by
 *    construction).
 *  - One Invalidate Request of any size is answered by one completion; there is
 *    no flow control (10.3.5). The queue depth only says 32.
 *  - No Page Request Interface, no Execute or Privileged permission, no
 *    Untranslated Access Only pages: U is never seen set by an IOMMU of QEMU.
 *  - A function that does not come back from a reset reads as all ones. The
 *    other way, Request Retry Status (2.3.1), needs RRS Software Visibility,
 *    which QEMU's root ports do not have.
 *  - A policy of one of the KEEP kinds keeps its word for each reset, that of
 *    the whole machine included.
 *  - An ats-exerciser cannot be migrated while a command runs, an Invalidate
 *    Request waits for its time, the device is out of its slot, or it has VFs:
 *    they are loaded before the PF, which then resets them.
 */
#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_aer.h"
#include "hw/pci/pcie_port.h"
#include "hw/pci/pcie_sriov.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "system/runstate.h"
#include "ats-exerciser.h"

/* Configuration space. PF and VFs have what they share at the same place. */
#define ATSX_PM_OFFSET              0x40
#define ATSX_EXP_OFFSET             0x60
#define ATSX_MSIX_OFFSET            0xa0
#define ATSX_AER_OFFSET             0x100
#define ATSX_ARI_OFFSET             0x150
#define ATSX_ATS_OFFSET             0x160
#define ATSX_PASID_OFFSET           0x170
#define ATSX_SRIOV_OFFSET           0x180

#define ATSX_MSIX_BAR_SIZE          0x1000
#define ATSX_MSIX_PBA               0x800
#define ATSX_VF_OFFSET              1
#define ATSX_VF_STRIDE              1
#define ATSX_PASID_BITS             20

static const char *const atsx_counter_name[ATSX_CNT_NUM] = ATSX_COUNTER_NAMES;

/* Policies: registers for the guest, properties for the host */
typedef struct ATSXPolicy {
    const char *name;
    hwaddr reg;
    size_t field;
    uint32_t max;
} ATSXPolicy;

static const ATSXPolicy atsx_policies[] = {
    { "inv-policy", ATSX_INV_POLICY,
      offsetof(ATSXFunction, inv_policy), ATSX_INV_UR },
    { "inv-param", ATSX_INV_PARAM,
      offsetof(ATSXFunction, inv_param), UINT32_MAX },
    { "inv-policy-disabled", ATSX_INV_POLICY_DISABLED,
      offsetof(ATSXFunction, inv_policy_disabled), ATSX_INV_DISABLED_UR },
    { "reset-policy", ATSX_RESET_POLICY,
      offsetof(ATSXFunction, reset_policy), ATSX_RESET_FAIL },
    { "reset-param", ATSX_RESET_PARAM,
      offsetof(ATSXFunction, reset_param), UINT32_MAX },
};

static uint32_t *atsx_policy_value(ATSXFunction *s, const ATSXPolicy *p)
{
    return (uint32_t *)((char *)s + p->field);
}

static const ATSXPolicy *atsx_policy_of_reg(hwaddr addr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(atsx_policies); i++) {
        if (atsx_policies[i].reg == addr) {
            return &atsx_policies[i];
        }
    }
    return NULL;
}

bool atsx_ats_enabled(ATSXFunction *s)
{
    PCIDevice *dev = PCI_DEVICE(s);

    return dev->enabled && dev->exp.ats_cap &&
           pci_get_word(dev->config + dev->exp.ats_cap + PCI_ATS_CTRL) &
           PCI_ATS_CTRL_ENABLE;
}

/* 9.3.7.14: the PF's PASID capability is for its VFs, too */
bool atsx_pasid_enabled(ATSXFunction *s)
{
    PCIDevice *pf = PCI_DEVICE(s->pf);

    return s->pf->pasid_cap &&
           pci_get_word(pf->config + s->pf->pasid_cap + PCI_PASID_CTRL) &
           PCI_PASID_CTRL_ENABLE;
}

/* Registers */

static uint32_t atsx_caps(ATSXFunction *s)
{
    uint32_t caps = s->atc_size & ATSX_CAPS_ATC_ENTRIES;

    if (PCI_DEVICE(s)->exp.ats_cap) {
        caps |= ATSX_CAPS_ATS;
    }
    if (s->pf->pasid) {
        caps |= ATSX_CAPS_PASID;
    }
    if (s->pf->flr) {
        caps |= ATSX_CAPS_FLR;
    }
    return caps;
}

static uint32_t atsx_status(ATSXFunction *s)
{
    uint32_t status = 0;

    if (s->dma_result == ATSX_RESULT_BUSY) {
        status |= ATSX_STATUS_BUSY;
    }
    if (atsx_ats_enabled(s)) {
        status |= ATSX_STATUS_ATS_ENABLE;
    }
    return status;
}

static uint64_t atsx_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    ATSXFunction *s = opaque;
    const ATSXPolicy *policy = atsx_policy_of_reg(addr);

    if (s->dead) {
        return UINT32_MAX;
    }
    if (policy) {
        return *atsx_policy_value(s, policy);
    }
    if (addr >= ATSX_COUNTERS && addr < ATSX_COUNTER(ATSX_CNT_NUM)) {
        uint64_t value = s->counter[(addr - ATSX_COUNTERS) / 8];

        return extract64(value, addr % 8 * 8, 32);
    }

    switch (addr) {
    case ATSX_ID:
        return ATSX_ID_MAGIC;
    case ATSX_VERSION:
        return ATSX_VERSION_1;
    case ATSX_CAPS:
        return atsx_caps(s);
    case ATSX_STATUS:
        return atsx_status(s);
    case ATSX_IRQ_STATUS:
        return s->irq_status;
    case ATSX_IRQ_ENABLE:
        return s->irq_enable;
    case ATSX_DMA_ADDR:
    case ATSX_DMA_ADDR + 4:
        return extract64(s->dma_addr, addr % 8 * 8, 32);
    case ATSX_DMA_LEN:
        return s->dma_len;
    case ATSX_DMA_FLAGS:
        return s->dma_flags;
    case ATSX_DMA_PASID:
        return s->dma_pasid;
    case ATSX_DMA_RESULT:
        return s->dma_result;
    case ATSX_DMA_COUNT:
        return s->dma_count;
    case ATSX_DMA_PATTERN:
    case ATSX_DMA_PATTERN + 4:
        return extract64(s->dma_pattern, addr % 8 * 8, 32);
    case ATSX_DMA_DATA:
    case ATSX_DMA_DATA + 4:
        return extract64(s->dma_data, addr % 8 * 8, 32);
    case ATSX_DMA_MISMATCH:
        return s->dma_mismatch;
    default:
        return 0;
    }
}

static void atsx_regs_write(void *opaque, hwaddr addr, uint64_t value,
                            unsigned size)
{
    ATSXFunction *s = opaque;
    const ATSXPolicy *policy = atsx_policy_of_reg(addr);

    if (s->dead) {
        return;
    }
    if (policy) {
        if (value > policy->max) {
            qemu_log_mask(LOG_GUEST_ERROR,
                          "%s: %s has no value %" PRIu64 ", at most %" PRIu32
                          "\n", PCI_DEVICE(s)->name, policy->name, value,
                          policy->max);
            return;
        }
        *atsx_policy_value(s, policy) = value;
        return;
    }

    switch (addr) {
    case ATSX_IRQ_STATUS:
        s->irq_status &= ~value;
        break;
    case ATSX_IRQ_ENABLE:
        if (s->irq_status & ~s->irq_enable & value & ATSX_IRQ_DMA_DONE) {
            msix_notify(PCI_DEVICE(s), 0);
        }
        s->irq_enable = value & ATSX_IRQ_DMA_DONE;
        break;
    case ATSX_DMA_ADDR:
    case ATSX_DMA_ADDR + 4:
        s->dma_addr = deposit64(s->dma_addr, addr % 8 * 8, 32, value);
        break;
    case ATSX_DMA_LEN:
        s->dma_len = value;
        break;
    case ATSX_DMA_FLAGS:
        s->dma_flags = value;
        break;
    case ATSX_DMA_PASID:
        s->dma_pasid = value;
        break;
    case ATSX_DMA_CMD:
        atsx_dma_start(s, value);
        break;
    case ATSX_DMA_PATTERN:
    case ATSX_DMA_PATTERN + 4:
        s->dma_pattern = deposit64(s->dma_pattern, addr % 8 * 8, 32, value);
        break;
    default:
        qemu_log_mask(LOG_GUEST_ERROR,
                      "%s: nothing to write at 0x%" HWADDR_PRIx "\n",
                      PCI_DEVICE(s)->name, addr);
        break;
    }
}

static const MemoryRegionOps atsx_regs_ops = {
    .read = atsx_regs_read,
    .write = atsx_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 4,
    },
};

/* Reset */

static void atsx_revive(void *opaque)
{
    ATSXFunction *s = opaque;

    s->dead = false;
}

static void atsx_reset_caps(ATSXFunction *s)
{
    PCIDevice *dev = PCI_DEVICE(s);

    pcie_cap_deverr_reset(dev);
    if (dev->exp.ats_cap) {
        pci_set_word(dev->config + dev->exp.ats_cap + PCI_ATS_CTRL, 0);
    }
    if (s->pf->pasid_cap && s == s->pf->fn[0]) {
        pci_set_word(dev->config + s->pf->pasid_cap + PCI_PASID_CTRL, 0);
    }
    atsx_atc_control_written(s);
}

/*
 * Reached by FLR and by D3hot to D0 (function_reset is set), by a reset of the
 * link or the machine, and for a VF whenever VF Enable changes.
 */
static void atsx_reset_hold(Object *obj, ResetType type)
{
    ATSXFunction *s = ATS_EXERCISER_BASE(obj);
    PCIDevice *dev = PCI_DEVICE(obj);
    bool power_on = !qdev_is_realized(DEVICE(obj)) || !runstate_is_running();
    bool vf_enable = dev->enabled != s->was_enabled;

    s->was_enabled = dev->enabled;
    if (!power_on && !vf_enable && dev->enabled) {
        s->counter[ATSX_CNT_RESETS]++;
    }

    atsx_dma_reset(s);
    atsx_reset_caps(s);

    switch (s->reset_policy) {
    case ATSX_RESET_KEEP_ALL:
        break;
    case ATSX_RESET_KEEP_POLICY:
        atsx_atc_flush(s);
        atsx_atc_drop_delayed(s);
        break;
    case ATSX_RESET_CLEAR:
    case ATSX_RESET_LATE:
    case ATSX_RESET_FAIL:
    default:
        atsx_atc_flush(s);
        atsx_atc_drop_delayed(s);
        s->inv_policy = ATSX_INV_ANSWER;
        s->inv_param = 0;
        break;
    }

    timer_del(s->revive);
    s->dead = false;
    if (s->function_reset && s->reset_policy == ATSX_RESET_LATE) {
        s->dead = true;
        timer_mod(s->revive, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                             s->reset_param * (int64_t)SCALE_MS);
    } else if (s->function_reset && s->reset_policy == ATSX_RESET_FAIL) {
        s->dead = true;
    }

    if (power_on && s->pf->ats_preset && s == s->pf->fn[0] &&
        dev->exp.ats_cap) {
        pci_set_word(dev->config + dev->exp.ats_cap + PCI_ATS_CTRL,
                     PCI_ATS_CTRL_ENABLE);
        s->ats_was_enabled = true;
    }
}

/* Configuration space */

static uint32_t atsx_config_read(PCIDevice *dev, uint32_t addr, int len)
{
    ATSXFunction *s = ATS_EXERCISER_BASE(dev);

    return s->dead ? extract32(UINT32_MAX, 0, len * 8) :
                     pci_default_read_config(dev, addr, len);
}

static uint8_t atsx_power_state(PCIDevice *dev)
{
    return pci_get_word(dev->config + dev->pm_cap + PCI_PM_CTRL) &
           PCI_PM_CTRL_STATE_MASK;
}

static void atsx_config_write(PCIDevice *dev, uint32_t addr, uint32_t val,
                              int len)
{
    ATSXFunction *s = ATS_EXERCISER_BASE(dev);
    uint8_t old_state = atsx_power_state(dev);

    if (s->dead) {
        return;
    }
    pci_default_write_config(dev, addr, val, len);
    pcie_aer_write_config(dev, addr, val, len);

    s->function_reset = true;
    if (s->pf->flr) {
        pcie_cap_flr_write_config(dev, addr, val, len);
    }
    /* 5.3.1.4: with No_Soft_Reset clear, D3hot to D0 is a reset */
    if (old_state == 3 && atsx_power_state(dev) == 0) {
        pci_device_reset(dev);
    }
    s->function_reset = false;

    atsx_atc_control_written(s);
}

static bool atsx_add_pm(PCIDevice *dev, Error **errp)
{
    if (pci_pm_init(dev, ATSX_PM_OFFSET, errp) < 0) {
        return false;
    }
    pci_set_word(dev->config + ATSX_PM_OFFSET + PCI_PM_PMC,
                 PCI_PM_CAP_VER_1_2);
    pci_set_word(dev->wmask + ATSX_PM_OFFSET + PCI_PM_CTRL,
                 PCI_PM_CTRL_STATE_MASK);
    return true;
}

/*
 * 10.5.1: the STU of a VF is hardwired to zero, and so is its queue depth: it
 * shares the PF's. A depth of zero in the PF means 32.
 */
static void atsx_add_ats(PCIDevice *dev, bool is_pf)
{
    pcie_ats_init(dev, ATSX_ATS_OFFSET, true);
    pci_set_word(dev->wmask + ATSX_ATS_OFFSET + PCI_ATS_CTRL,
                 PCI_ATS_CTRL_ENABLE | (is_pf ? PCI_ATS_CTRL_STU(~0) : 0));
}

static void atsx_add_pasid(ATSXPhysical *pf)
{
    PCIDevice *dev = PCI_DEVICE(pf);

    pcie_add_capability(dev, PCI_EXT_CAP_ID_PASID, 1, ATSX_PASID_OFFSET,
                        PCI_EXT_CAP_PASID_SIZEOF);
    pci_set_word(dev->config + ATSX_PASID_OFFSET + PCI_PASID_CAP,
                 ATSX_PASID_BITS << 8);
    pci_set_word(dev->wmask + ATSX_PASID_OFFSET + PCI_PASID_CTRL,
                 PCI_PASID_CTRL_ENABLE);
    pf->pasid_cap = ATSX_PASID_OFFSET;
}

/* What PF and VFs have in common, before the PF gets its VFs */
static bool atsx_function_realize(ATSXFunction *s, ATSXPhysical *pf, bool ats,
                                  Error **errp)
{
    PCIDevice *dev = PCI_DEVICE(s);
    bool is_pf = s == ATS_EXERCISER_BASE(pf);
    int ret;

    s->pf = pf;
    s->was_enabled = dev->enabled;

    memory_region_init_io(&s->regs_mr, OBJECT(s), &atsx_regs_ops, s,
                          "ats-exerciser-regs", ATSX_BAR_REGS_SIZE);
    memory_region_init(&s->msix_mr, OBJECT(s), "ats-exerciser-msix",
                       ATSX_MSIX_BAR_SIZE);
    pci_register_bar(dev, ATSX_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->regs_mr);
    pci_register_bar(dev, ATSX_BAR_MSIX, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->msix_mr);

    if (!atsx_add_pm(dev, errp)) {
        return false;
    }
    ret = pcie_endpoint_cap_init(dev, ATSX_EXP_OFFSET);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot add the PCIe capability");
        return false;
    }
    pcie_cap_deverr_init(dev);
    if (pf->flr) {
        pcie_cap_flr_init(dev);
    }
    if (pcie_aer_init(dev, PCI_ERR_VER, ATSX_AER_OFFSET, PCI_ERR_SIZEOF,
                      errp) < 0) {
        pcie_cap_exit(dev);
        return false;
    }
    if (msix_init(dev, 1, &s->msix_mr, ATSX_BAR_MSIX, 0, &s->msix_mr,
                  ATSX_BAR_MSIX, ATSX_MSIX_PBA, ATSX_MSIX_OFFSET, errp) < 0) {
        pcie_aer_exit(dev);
        pcie_cap_exit(dev);
        return false;
    }
    msix_vector_use(dev, 0);

    if (pf->vfs) {
        pcie_ari_init(dev, ATSX_ARI_OFFSET);
    }
    if (ats) {
        atsx_add_ats(dev, is_pf);
    }

    s->revive = timer_new_ns(QEMU_CLOCK_VIRTUAL, atsx_revive, s);
    atsx_atc_init(s, pf->atc_entries);
    atsx_dma_init(s);
    return true;
}

static void atsx_function_exit(ATSXFunction *s)
{
    PCIDevice *dev = PCI_DEVICE(s);

    atsx_dma_exit(s);
    atsx_atc_exit(s);
    timer_free(s->revive);
    msix_unuse_all_vectors(dev);
    msix_uninit(dev, &s->msix_mr, &s->msix_mr);
    pcie_aer_exit(dev);
    pcie_cap_exit(dev);
}

/* The host's readings and settings: properties "fn<N>-<name>" of the PF */

typedef struct ATSXProperty {
    ATSXFunction *s;
    unsigned counter;
    const ATSXPolicy *policy;
} ATSXProperty;

static void atsx_get_counter(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    ATSXProperty *prop = opaque;
    uint64_t value = prop->s->counter[prop->counter];

    visit_type_uint64(v, name, &value, errp);
}

static void atsx_get_policy(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    ATSXProperty *prop = opaque;
    uint32_t value = *atsx_policy_value(prop->s, prop->policy);

    visit_type_uint32(v, name, &value, errp);
}

static void atsx_set_policy(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    ATSXProperty *prop = opaque;
    uint32_t value;

    if (!visit_type_uint32(v, name, &value, errp)) {
        return;
    }
    if (value > prop->policy->max) {
        error_setg(errp, "%s: %" PRIu32 " is too large, use 0 to %" PRIu32,
                   name, value, prop->policy->max);
        return;
    }
    *atsx_policy_value(prop->s, prop->policy) = value;
}

/* "present": off pulls all functions out of their slot, on puts them in */
static bool atsx_get_present(Object *obj, Error **errp)
{
    return !ATS_EXERCISER(obj)->absent;
}

static void atsx_set_present(Object *obj, bool value, Error **errp)
{
    ATSXPhysical *pf = ATS_EXERCISER(obj);
    PCIDevice *port = pci_bridge_get_device(pci_get_bus(PCI_DEVICE(obj)));

    if (!port || !object_dynamic_cast(OBJECT(port), TYPE_PCIE_SLOT)) {
        error_setg(errp, "ats-exerciser is not in a slot");
        return;
    }
    if (value == !pf->absent) {
        return;
    }
    /* No register keeps its value without power */
    for (unsigned fn = 0; fn <= pf->vfs && !value; fn++) {
        pf->fn[fn]->reset_policy = ATSX_RESET_CLEAR;
        pf->fn[fn]->reset_param = 0;
        pf->fn[fn]->inv_policy_disabled = ATSX_INV_DISABLED_ANSWER;
    }
    pf->absent = !value;
    pcie_cap_slot_surprise(port, value);
}

static void atsx_release_property(Object *obj, const char *name, void *opaque)
{
    g_free(opaque);
}

static void atsx_add_property(ATSXPhysical *pf, unsigned fn, unsigned counter,
                              const ATSXPolicy *policy)
{
    ATSXProperty *prop = g_new0(ATSXProperty, 1);
    g_autofree char *name = g_strdup_printf("fn%u-%s", fn, policy ?
                                policy->name : atsx_counter_name[counter]);

    prop->s = pf->fn[fn];
    prop->counter = counter;
    prop->policy = policy;
    object_property_add(OBJECT(pf), name, policy ? "uint32" : "uint64",
                        policy ? atsx_get_policy : atsx_get_counter,
                        policy ? atsx_set_policy : NULL,
                        atsx_release_property, prop);
}

static void atsx_add_properties(ATSXPhysical *pf)
{
    for (unsigned fn = 0; fn <= pf->vfs; fn++) {
        for (unsigned i = 0; i < ATSX_CNT_NUM; i++) {
            atsx_add_property(pf, fn, i, NULL);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(atsx_policies); i++) {
            atsx_add_property(pf, fn, 0, &atsx_policies[i]);
        }
    }
}

static void atsx_del_properties(ATSXPhysical *pf)
{
    for (unsigned fn = 0; fn <= pf->vfs; fn++) {
        for (unsigned i = 0; i < ATSX_CNT_NUM; i++) {
            g_autofree char *name = g_strdup_printf("fn%u-%s", fn,
                                                    atsx_counter_name[i]);
            object_property_del(OBJECT(pf), name);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(atsx_policies); i++) {
            g_autofree char *name = g_strdup_printf("fn%u-%s", fn,
                                                    atsx_policies[i].name);
            object_property_del(OBJECT(pf), name);
        }
    }
}

/* The PF */

static bool atsx_check_properties(ATSXPhysical *pf, Error **errp)
{
    if (!pci_bus_is_express(pci_get_bus(PCI_DEVICE(pf)))) {
        error_setg(errp, "ats-exerciser needs a PCI Express bus; put it behind "
                   "a pcie-root-port with bus=<id of the port>");
        return false;
    }
    if (pf->vfs > ATSX_MAX_VFS) {
        error_setg(errp, "vfs=%" PRIu32 " is too many, use 0 to %d", pf->vfs,
                   ATSX_MAX_VFS);
        return false;
    }
    if (!pf->atc_entries || pf->atc_entries > ATSX_MAX_ATC_ENTRIES) {
        error_setg(errp, "atc-entries=%" PRIu32 " makes no cache, use 1 to %d",
                   pf->atc_entries, ATSX_MAX_ATC_ENTRIES);
        return false;
    }
    if (pf->ats_preset && !pf->ats) {
        error_setg(errp, "ats-preset=on needs ats=on");
        return false;
    }
    return true;
}

static void atsx_pf_realize(PCIDevice *dev, Error **errp)
{
    ATSXPhysical *pf = ATS_EXERCISER(dev);
    ATSXFunction *s = ATS_EXERCISER_BASE(dev);

    if (!atsx_check_properties(pf, errp) ||
        !atsx_function_realize(s, pf, pf->ats, errp)) {
        return;
    }
    pf->fn[0] = s;
    pci_config_set_vendor_id(dev->config, pf->vendor_id);
    pci_config_set_device_id(dev->config, pf->device_id);
    if (pf->pasid) {
        atsx_add_pasid(pf);
    }
    if (pf->vfs) {
        if (!pcie_sriov_pf_init(dev, ATSX_SRIOV_OFFSET, TYPE_ATS_EXERCISER_VF,
                                ATSX_VF_DEVICE_ID, pf->vfs, pf->vfs,
                                ATSX_VF_OFFSET, ATSX_VF_STRIDE, errp)) {
            atsx_function_exit(s);
            return;
        }
        pcie_sriov_pf_init_vf_bar(dev, ATSX_BAR_REGS,
                                  PCI_BASE_ADDRESS_SPACE_MEMORY |
                                  PCI_BASE_ADDRESS_MEM_TYPE_64,
                                  ATSX_BAR_REGS_SIZE);
        pcie_sriov_pf_init_vf_bar(dev, ATSX_BAR_MSIX,
                                  PCI_BASE_ADDRESS_SPACE_MEMORY |
                                  PCI_BASE_ADDRESS_MEM_TYPE_64,
                                  ATSX_MSIX_BAR_SIZE);
    }
    atsx_add_properties(pf);
}

static void atsx_pf_exit(PCIDevice *dev)
{
    ATSXPhysical *pf = ATS_EXERCISER(dev);

    atsx_del_properties(pf);
    pcie_sriov_pf_exit(dev);
    atsx_function_exit(ATS_EXERCISER_BASE(dev));
}

static const Property atsx_pf_properties[] = {
    DEFINE_PROP_UINT32("vfs", ATSXPhysical, vfs, 4),
    DEFINE_PROP_UINT32("atc-entries", ATSXPhysical, atc_entries, 256),
    DEFINE_PROP_UINT16("vendor-id", ATSXPhysical, vendor_id, ATSX_VENDOR_ID),
    DEFINE_PROP_UINT16("device-id", ATSXPhysical, device_id, ATSX_DEVICE_ID),
    DEFINE_PROP_BOOL("ats", ATSXPhysical, ats, true),
    DEFINE_PROP_BOOL("vf-ats", ATSXPhysical, vf_ats, true),
    DEFINE_PROP_BOOL("ats-preset", ATSXPhysical, ats_preset, false),
    DEFINE_PROP_BOOL("pasid", ATSXPhysical, pasid, false),
    DEFINE_PROP_BOOL("flr", ATSXPhysical, flr, true),
};

static void atsx_pf_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->realize = atsx_pf_realize;
    k->exit = atsx_pf_exit;
    k->device_id = ATSX_DEVICE_ID;
    dc->desc = "PCIe endpoint that exercises ATS";
    device_class_set_props(dc, atsx_pf_properties);
    object_class_property_add_bool(klass, "present", atsx_get_present,
                                   atsx_set_present);
}

/* A VF: pcie_sriov_pf_init() makes it, nobody else can */

static void atsx_vf_realize(PCIDevice *dev, Error **errp)
{
    ATSXPhysical *pf = ATS_EXERCISER(pcie_sriov_get_pf(dev));
    ATSXFunction *s = ATS_EXERCISER_BASE(dev);

    if (atsx_function_realize(s, pf, pf->vf_ats, errp)) {
        pf->fn[1 + pcie_sriov_vf_number(dev)] = s;
    }
}

static void atsx_vf_exit(PCIDevice *dev)
{
    atsx_function_exit(ATS_EXERCISER_BASE(dev));
}

static void atsx_vf_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->realize = atsx_vf_realize;
    k->exit = atsx_vf_exit;
    k->device_id = ATSX_VF_DEVICE_ID;
    dc->desc = "Virtual function of ats-exerciser";
    dc->user_creatable = false;
}

static int atsx_pre_save(void *opaque)
{
    ATSXFunction *s = opaque;

    return s->dma_result == ATSX_RESULT_BUSY || !QTAILQ_EMPTY(&s->delayed) ||
           s->pf->absent || pcie_sriov_num_vfs(PCI_DEVICE(s->pf)) ? -EBUSY : 0;
}

static const VMStateDescription atsx_entry_vmstate = {
    .name = TYPE_ATS_EXERCISER "/entry",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(valid, ATSXEntry),
        VMSTATE_UINT32(pasid, ATSXEntry),
        VMSTATE_UINT64(iova, ATSXEntry),
        VMSTATE_UINT64(mask, ATSXEntry),
        VMSTATE_UINT64(translated, ATSXEntry),
        VMSTATE_UINT32(perm, ATSXEntry),
        VMSTATE_UINT64(age, ATSXEntry),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription atsx_vmstate = {
    .name = TYPE_ATS_EXERCISER,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = atsx_pre_save,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, ATSXFunction),
        VMSTATE_STRUCT(parent_obj.exp.aer_log, ATSXFunction, 0,
                       vmstate_pcie_aer_log, PCIEAERLog),
        VMSTATE_MSIX(parent_obj, ATSXFunction),
        VMSTATE_UINT32_EQUAL(atc_size, ATSXFunction,
                             "atc-entries must be the same"),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(atc, ATSXFunction, atc_size,
                                             atsx_entry_vmstate, ATSXEntry),
        VMSTATE_UINT64(atc_clock, ATSXFunction),
        VMSTATE_BOOL(ats_was_enabled, ATSXFunction),
        VMSTATE_UINT32(inv_policy, ATSXFunction),
        VMSTATE_UINT32(inv_param, ATSXFunction),
        VMSTATE_UINT32(inv_policy_disabled, ATSXFunction),
        VMSTATE_UINT32(reset_policy, ATSXFunction),
        VMSTATE_UINT32(reset_param, ATSXFunction),
        VMSTATE_BOOL(was_enabled, ATSXFunction),
        VMSTATE_BOOL(dead, ATSXFunction),
        VMSTATE_TIMER_PTR(revive, ATSXFunction),
        VMSTATE_UINT64(dma_addr, ATSXFunction),
        VMSTATE_UINT32(dma_len, ATSXFunction),
        VMSTATE_UINT32(dma_flags, ATSXFunction),
        VMSTATE_UINT32(dma_pasid, ATSXFunction),
        VMSTATE_UINT64(dma_pattern, ATSXFunction),
        VMSTATE_UINT32(dma_result, ATSXFunction),
        VMSTATE_UINT32(dma_count, ATSXFunction),
        VMSTATE_UINT32(dma_mismatch, ATSXFunction),
        VMSTATE_UINT64(dma_data, ATSXFunction),
        VMSTATE_UINT32(irq_status, ATSXFunction),
        VMSTATE_UINT32(irq_enable, ATSXFunction),
        VMSTATE_UINT64_ARRAY(counter, ATSXFunction, ATSX_CNT_NUM),
        VMSTATE_END_OF_LIST()
    }
};

static void atsx_base_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    k->vendor_id = ATSX_VENDOR_ID;
    k->revision = ATSX_VERSION_1;
    k->class_id = PCI_CLASS_OTHERS;
    k->config_read = atsx_config_read;
    k->config_write = atsx_config_write;
    rc->phases.hold = atsx_reset_hold;
    dc->vmsd = &atsx_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo atsx_types[] = {
    {
        .name = TYPE_ATS_EXERCISER_BASE,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(ATSXFunction),
        .class_init = atsx_base_class_init,
        .abstract = true,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
    {
        .name = TYPE_ATS_EXERCISER,
        .parent = TYPE_ATS_EXERCISER_BASE,
        .instance_size = sizeof(ATSXPhysical),
        .class_init = atsx_pf_class_init,
    },
    {
        .name = TYPE_ATS_EXERCISER_VF,
        .parent = TYPE_ATS_EXERCISER_BASE,
        .class_init = atsx_vf_class_init,
    },
};

DEFINE_TYPES(atsx_types)
