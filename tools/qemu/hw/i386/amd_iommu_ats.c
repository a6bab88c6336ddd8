/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD IOMMU: Address Translation Services
 *
 * Names are those of the AMD I/O Virtualization Technology specification,
 * 48882.
 *
 * Limitations:
 *  - COMPLETION_WAIT does not wait for INVALIDATE_IOTLB_PAGES, and there is no
 *    IOTLB_INV_TIMEOUT: an answer that comes late does so unnoticed.
 *  - Requests that are refused are not logged (INVALID_DEVICE_REQUEST).
 *  - No PASIDs: guest translation is reported and not modelled.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/i386/pc.h"
#include "hw/pci/pci_ats.h"
#include "hw/pci/pci_device.h"
#include "amd_iommu.h"
#include "trace.h"

/* INVALIDATE_IOTLB_PAGES */
#define AMDVI_IOTLB_PAGES_DEVID(cmd)    extract64((cmd)[0], 0, 16)
#define AMDVI_IOTLB_PAGES_S(cmd)        extract64((cmd)[1], 0, 1)
#define AMDVI_IOTLB_PAGES_GN(cmd)       extract64((cmd)[1], 2, 1)
#define AMDVI_IOTLB_PAGES_ADDR(cmd)     ((cmd)[1] & ~0xfffULL)

static AMDVIAddressSpace *amdvi_ats_device(PCIBus *bus, void *opaque, int devfn)
{
    AddressSpace *as = amdvi_host_dma_iommu(bus, opaque, devfn);

    return container_of(as, AMDVIAddressSpace, as);
}

/* DTE.I, and V without which nothing else in the entry counts */
static bool amdvi_ats_check(PCIBus *bus, void *opaque, int devfn,
                            uint32_t pasid, PCIATSCheck what, hwaddr addr,
                            bool is_write)
{
    AMDVIState *s = opaque;
    AMDVIAddressSpace *as = amdvi_ats_device(bus, opaque, devfn);
    uint64_t dte[4];
    bool allowed;

    if (!X86_IOMMU_DEVICE(s)->dt_supported || !s->enabled ||
        pasid != PCI_NO_PASID) {
        return false;
    }
    allowed = amdvi_get_dte(s, amdvi_as_devid(as), dte) &&
              (dte[0] & AMDVI_DEV_VALID) && (dte[1] & AMDVI_DEV_IOTLB);
    if (what != PCI_ATS_CHECK_PEEK) {
        trace_amdvi_ats_check(amdvi_as_devid(as),
                              what == PCI_ATS_CHECK_TRANSLATED, addr, allowed);
    }
    return allowed;
}

static bool amdvi_ats_translate(PCIBus *bus, void *opaque, int devfn,
                                PCIATSTranslation *req)
{
    AMDVIAddressSpace *as = amdvi_ats_device(bus, opaque, devfn);
    IOMMUTLBEntry entry = {};

    if (amdvi_is_interrupt_addr(req->iova) ||
        !amdvi_ats_check(bus, opaque, devfn, req->pasid,
                         PCI_ATS_CHECK_REQUEST, req->iova, false)) {
        return false;
    }

    /* A page that cannot be read may still be written */
    amdvi_do_translate(as, req->iova, false, true, &entry);
    if (entry.perm == IOMMU_NONE) {
        amdvi_do_translate(as, req->iova, true, true, &entry);
    }
    req->perm = entry.perm;
    req->translated = entry.translated_addr + (req->iova & entry.addr_mask);
    req->mask = entry.addr_mask;
    if (req->no_write) {
        req->perm &= ~IOMMU_WO;
    }
    trace_amdvi_ats_translate(amdvi_as_devid(as), req->iova, req->translated,
                              req->mask, req->perm);
    return true;
}

const PCIATSIOMMUOps amdvi_ats_ops = {
    .check = amdvi_ats_check,
    .translate = amdvi_ats_translate,
};

void amdvi_ats_invalidate(AMDVIState *s, const uint64_t *cmd)
{
    uint16_t devid = AMDVI_IOTLB_PAGES_DEVID(cmd);
    hwaddr addr = AMDVI_IOTLB_PAGES_ADDR(cmd);
    hwaddr mask = AMDVI_PAGE_SIZE - 1;
    PCIBus *root = PC_MACHINE(qdev_get_machine())->pcibus;
    PCIDevice *dev = pci_find_device(root, PCI_BUS_NUM(devid), devid & 0xff);
    PCIATSInvalidation *inv;

    if (AMDVI_IOTLB_PAGES_S(cmd)) {
        /* As in an Invalidate Request: the lowest zero bit is half the size */
        mask = (AMDVI_PAGE_SIZE * 2 << cto64(addr >> AMDVI_PAGE_SHIFT)) - 1;
    }
    trace_amdvi_ats_invalidate(devid, addr, mask);
    if (!dev || AMDVI_IOTLB_PAGES_GN(cmd)) {
        return;
    }
    inv = pci_ats_inv_new(addr, mask, PCI_NO_PASID, false, NULL, NULL);
    pci_ats_inv_send(pci_get_bus(dev), dev->devfn, inv);
    pci_ats_inv_abandon(inv);
}
