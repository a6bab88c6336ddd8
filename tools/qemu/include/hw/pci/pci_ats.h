/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI Address Translation Services between an endpoint and an emulated IOMMU
 *
 * An endpoint with an Address Translation Cache (ATC) asks the IOMMU in front
 * of it for translations and for permission to use them. The IOMMU tells the
 * endpoint to forget translations. Both directions go through this file, so
 * that neither side needs to know what the other one is.
 *
 * An Invalidate Request is an object that lives as long as one of the two sides
 * holds it, and is answered at any later time or never. That lets the IOMMU
 * wait, lose patience (pci_ats_inv_abandon()), and be indifferent to an answer
 * that arrives after that.
 *
 * Everything here runs under the BQL.
 */
#ifndef HW_PCI_PCI_ATS_H
#define HW_PCI_PCI_ATS_H

#include "exec/memory.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"

/* PASIDs are 20 bits wide, PCIe r6.0 6.20 */
#define PCI_ATS_PASID_MAX       0xfffff

/* What pci_ats_check() and PCIATSIOMMUOps::check are asked about */
typedef enum PCIATSCheck {
    /* a Translation Request; a refusal is recorded as the IOMMU does */
    PCI_ATS_CHECK_REQUEST,
    /* a Memory Request with AT = Translated; likewise */
    PCI_ATS_CHECK_TRANSLATED,
    /* as PCI_ATS_CHECK_REQUEST, but nothing happens: the host is curious */
    PCI_ATS_CHECK_PEEK,
} PCIATSCheck;

/* One Translation Request and its completion, PCIe r6.0 10.2.2 and 10.2.3 */
typedef struct PCIATSTranslation {
    /* from the endpoint */
    hwaddr iova;
    uint32_t pasid;             /* or PCI_NO_PASID */
    bool no_write;              /* NW: write permission is not wanted */
    /* from the IOMMU, if the request was not refused */
    hwaddr translated;          /* of the byte at @iova */
    hwaddr mask;                /* size of the range around @iova, - 1 */
    IOMMUAccessFlags perm;      /* IOMMU_NONE: not mapped (R = W = 0) */
} PCIATSTranslation;

/*
 * Callbacks of an IOMMU, PCIIOMMUOps::ats. @bus, @opaque and @devfn are as for
 * PCIIOMMUOps::get_address_space.
 */
struct PCIATSIOMMUOps {
    /* see pci_ats_check() */
    bool (*check)(PCIBus *bus, void *opaque, int devfn, uint32_t pasid,
                  PCIATSCheck what, hwaddr addr, bool is_write);
    /* see pci_ats_translate() */
    bool (*translate)(PCIBus *bus, void *opaque, int devfn,
                      PCIATSTranslation *req);
    /* see pci_ats_pasid_address_space(); optional */
    AddressSpace *(*pasid_address_space)(PCIBus *bus, void *opaque, int devfn,
                                         uint32_t pasid);
};

/* How an Invalidate Request ended */
typedef enum PCIATSInvResult {
    PCI_ATS_INV_DONE,           /* Invalidate Completion */
    /*
     * Unsupported Request. The IOMMU takes that for an answer: a function that
     * does not know what an Invalidate Request is has nothing cached.
     */
    PCI_ATS_INV_UR,
} PCIATSInvResult;

/* An Invalidate Request, PCIe r6.0 10.3.1 */
typedef struct PCIATSInvalidation PCIATSInvalidation;

typedef void PCIATSInvDoneFn(PCIATSInvalidation *inv, PCIATSInvResult result);

struct PCIATSInvalidation {
    hwaddr addr;                /* first byte */
    hwaddr mask;                /* size - 1; UINT64_MAX is everything */
    uint32_t pasid;             /* or PCI_NO_PASID */
    bool global;                /* Global Invalidate: whatever the PASID is */
    uint16_t sid;               /* Requester ID it is sent to */

    /* for the IOMMU */
    PCIATSInvDoneFn *done;
    void *opaque;

    /* private */
    unsigned refs;
};

/* Callbacks of an endpoint, see pci_ats_register() */
struct PCIATSEndpointOps {
    /**
     * @invalidate: an Invalidate Request arrives
     *
     * The endpoint owns one reference of @inv and gives it up by
     * pci_ats_inv_answer() or pci_ats_inv_drop(), now or later.
     */
    void (*invalidate)(PCIDevice *dev, PCIATSInvalidation *inv);
};

/**
 * pci_ats_register: make @dev receive Invalidate Requests
 */
void pci_ats_register(PCIDevice *dev, const PCIATSEndpointOps *ops);

/**
 * pci_ats_check: would the IOMMU in front of @dev let it do @what?
 *
 * Without an IOMMU, or with one that knows nothing of ATS, there is nobody who
 * could answer a Translation Request: false.
 */
bool pci_ats_check(PCIDevice *dev, uint32_t pasid, PCIATSCheck what,
                   hwaddr addr, bool is_write);

/**
 * pci_ats_translate: send a Translation Request
 *
 * Returns false if the request was refused (Unsupported Request or Completer
 * Abort), and the outcome in @req otherwise.
 */
bool pci_ats_translate(PCIDevice *dev, PCIATSTranslation *req);

/**
 * pci_ats_pasid_address_space: where @dev's untranslated requests with @pasid
 * go, NULL if the IOMMU takes none
 */
AddressSpace *pci_ats_pasid_address_space(PCIDevice *dev, uint32_t pasid);

/**
 * pci_ats_inv_new: a request that nobody but the caller holds yet
 */
PCIATSInvalidation *pci_ats_inv_new(hwaddr addr, hwaddr mask, uint32_t pasid,
                                    bool global, PCIATSInvDoneFn *done,
                                    void *opaque);

/**
 * pci_ats_inv_send: deliver @inv to the function @devfn of @bus
 *
 * @done may be called before this returns. A function without ATS answers with
 * Unsupported Request. One that is not there does not answer: the request is a
 * posted message (10.3.1), and nobody tells its sender that it got lost.
 */
void pci_ats_inv_send(PCIBus *bus, int devfn, PCIATSInvalidation *inv);

/**
 * pci_ats_inv_abandon: the IOMMU's side lets go of @inv
 *
 * @done is not called from now on. Also the way to free an answered request.
 */
void pci_ats_inv_abandon(PCIATSInvalidation *inv);

/**
 * pci_ats_inv_answer: the endpoint completes @inv, and lets go of it
 */
void pci_ats_inv_answer(PCIATSInvalidation *inv, PCIATSInvResult result);

/**
 * pci_ats_inv_drop: the endpoint lets go of @inv and will never answer
 */
void pci_ats_inv_drop(PCIATSInvalidation *inv);

#endif /* HW_PCI_PCI_ATS_H */
