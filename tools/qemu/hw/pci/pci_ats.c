/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI Address Translation Services between an endpoint and an emulated IOMMU
 *
 * See include/hw/pci/pci_ats.h.
 */
#include "qemu/osdep.h"
#include "hw/pci/pci_ats.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"

void pci_ats_register(PCIDevice *dev, const PCIATSEndpointOps *ops)
{
    dev->ats_ops = ops;
}

/* The ATS side of the IOMMU in front of @dev, NULL if there is none */
static const PCIATSIOMMUOps *pci_ats_iommu(PCIDevice *dev, PCIBus **bus,
                                           void **opaque, int *devfn)
{
    PCIBus *iommu_bus;

    pci_device_get_iommu_bus_devfn(dev, &iommu_bus, bus, devfn);
    if (!iommu_bus) {
        return NULL;
    }
    *opaque = iommu_bus->iommu_opaque;
    return iommu_bus->iommu_ops->ats;
}

bool pci_ats_check(PCIDevice *dev, uint32_t pasid, PCIATSCheck what,
                   hwaddr addr, bool is_write)
{
    PCIBus *bus;
    void *opaque;
    int devfn;
    const PCIATSIOMMUOps *ops = pci_ats_iommu(dev, &bus, &opaque, &devfn);

    return ops && ops->check(bus, opaque, devfn, pasid, what, addr, is_write);
}

bool pci_ats_translate(PCIDevice *dev, PCIATSTranslation *req)
{
    PCIBus *bus;
    void *opaque;
    int devfn;
    const PCIATSIOMMUOps *ops = pci_ats_iommu(dev, &bus, &opaque, &devfn);

    return ops && ops->translate(bus, opaque, devfn, req);
}

AddressSpace *pci_ats_pasid_address_space(PCIDevice *dev, uint32_t pasid)
{
    PCIBus *bus;
    void *opaque;
    int devfn;
    const PCIATSIOMMUOps *ops = pci_ats_iommu(dev, &bus, &opaque, &devfn);

    if (!ops || !ops->pasid_address_space) {
        return NULL;
    }
    return ops->pasid_address_space(bus, opaque, devfn, pasid);
}

static void pci_ats_inv_unref(PCIATSInvalidation *inv)
{
    assert(inv->refs);
    if (!--inv->refs) {
        g_free(inv);
    }
}

PCIATSInvalidation *pci_ats_inv_new(hwaddr addr, hwaddr mask, uint32_t pasid,
                                    bool global, PCIATSInvDoneFn *done,
                                    void *opaque)
{
    PCIATSInvalidation *inv = g_new0(PCIATSInvalidation, 1);

    inv->addr = addr & ~mask;
    inv->mask = mask;
    inv->pasid = pasid;
    inv->global = global;
    inv->done = done;
    inv->opaque = opaque;
    inv->refs = 1;
    return inv;
}

void pci_ats_inv_send(PCIBus *bus, int devfn, PCIATSInvalidation *inv)
{
    PCIDevice *dev = bus->devices[devfn];

    inv->sid = PCI_BUILD_BDF(pci_bus_num(bus), devfn);
    inv->refs++;
    if (!dev || !dev->enabled) {
        pci_ats_inv_drop(inv);
    } else if (!dev->ats_ops) {
        pci_ats_inv_answer(inv, PCI_ATS_INV_UR);
    } else {
        dev->ats_ops->invalidate(dev, inv);
    }
}

void pci_ats_inv_abandon(PCIATSInvalidation *inv)
{
    inv->done = NULL;
    pci_ats_inv_unref(inv);
}

void pci_ats_inv_answer(PCIATSInvalidation *inv, PCIATSInvResult result)
{
    PCIATSInvDoneFn *done = inv->done;

    /* One answer at most, whatever the two sides do in the callback */
    inv->done = NULL;
    if (done) {
        done(inv, result);
    }
    pci_ats_inv_unref(inv);
}

void pci_ats_inv_drop(PCIATSInvalidation *inv)
{
    pci_ats_inv_unref(inv);
}
