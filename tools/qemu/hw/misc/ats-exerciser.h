/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ats-exerciser: what its parts share. See ats-exerciser.c.
 */
#ifndef HW_MISC_ATS_EXERCISER_H
#define HW_MISC_ATS_EXERCISER_H

#include "hw/misc/ats_exerciser_regs.h"
#include "hw/pci/pci_ats.h"
#include "hw/pci/pci_device.h"
#include "qemu/queue.h"

#define TYPE_ATS_EXERCISER_BASE     "ats-exerciser-base"
#define TYPE_ATS_EXERCISER          "ats-exerciser"
#define TYPE_ATS_EXERCISER_VF       "ats-exerciser-vf"
OBJECT_DECLARE_SIMPLE_TYPE(ATSXFunction, ATS_EXERCISER_BASE)
OBJECT_DECLARE_SIMPLE_TYPE(ATSXPhysical, ATS_EXERCISER)

#define ATSX_MAX_VFS                63
#define ATSX_MAX_ATC_ENTRIES        4096
#define ATSX_MAX_DMA_LEN            (1 * MiB)

/* A translation as the IOMMU granted it: PCIe r6.0 10.2.3 */
typedef struct ATSXEntry {
    bool valid;
    uint32_t pasid;             /* or PCI_NO_PASID */
    hwaddr iova;                /* aligned to @mask + 1 */
    hwaddr mask;
    hwaddr translated;          /* of @iova */
    uint32_t perm;              /* IOMMUAccessFlags */
    uint64_t age;               /* the lowest one is replaced first */
} ATSXEntry;

/* An Invalidate Request that waits for its time, ATSX_INV_DELAY */
typedef struct ATSXDelayed ATSXDelayed;

/* The operands of a DMA command */
typedef struct ATSXCommand {
    uint32_t cmd;
    uint32_t flags;
    uint32_t pasid;             /* or PCI_NO_PASID */
    hwaddr addr;
    uint32_t len;
    uint64_t pattern;
} ATSXCommand;

/* A function, physical or virtual */
struct ATSXFunction {
    PCIDevice parent_obj;

    MemoryRegion regs_mr;
    MemoryRegion msix_mr;
    ATSXPhysical *pf;           /* itself for the PF */

    /* ATC */
    ATSXEntry *atc;
    uint32_t atc_size;
    uint64_t atc_clock;
    bool ats_was_enabled;
    uint32_t inv_policy;
    uint32_t inv_param;
    uint32_t inv_policy_disabled;
    QTAILQ_HEAD(, ATSXDelayed) delayed;

    /* Reset */
    uint32_t reset_policy;
    uint32_t reset_param;
    bool function_reset;        /* FLR or D3hot to D0, not a bus reset */
    bool was_enabled;           /* pci_set_enabled() resets, too */
    bool dead;                  /* does not answer config requests */
    QEMUTimer *revive;

    /* DMA engine */
    QEMUBH *bh;
    uint64_t dma_addr;
    uint32_t dma_len;
    uint32_t dma_flags;
    uint32_t dma_pasid;
    uint64_t dma_pattern;
    ATSXCommand running;
    uint32_t dma_result;
    uint32_t dma_count;
    uint32_t dma_mismatch;
    uint64_t dma_data;
    uint32_t irq_status;
    uint32_t irq_enable;

    uint64_t counter[ATSX_CNT_NUM];
};

struct ATSXPhysical {
    ATSXFunction parent_obj;

    /* Properties */
    uint32_t vfs;
    uint32_t atc_entries;
    uint16_t vendor_id;
    uint16_t device_id;
    bool ats;
    bool vf_ats;
    bool ats_preset;
    bool pasid;
    bool flr;

    /* Pulled out of its slot */
    bool absent;

    uint16_t pasid_cap;
    /* fn[0] is the PF, fn[1..vfs] are the VFs, enabled or not */
    ATSXFunction *fn[ATSX_MAX_VFS + 1];
};

/* ats-exerciser.c */
bool atsx_ats_enabled(ATSXFunction *s);
bool atsx_pasid_enabled(ATSXFunction *s);

/* ats-exerciser-atc.c */
void atsx_atc_init(ATSXFunction *s, uint32_t entries);
void atsx_atc_exit(ATSXFunction *s);
void atsx_atc_flush(ATSXFunction *s);
/* The entry that covers @addr for @pasid, or NULL */
const ATSXEntry *atsx_atc_lookup(ATSXFunction *s, uint32_t pasid, hwaddr addr);
/*
 * Ask for the translation of the byte at @addr and cache it. Returns the entry,
 * or NULL if the IOMMU refused the request or has no mapping.
 */
const ATSXEntry *atsx_atc_fill(ATSXFunction *s, uint32_t pasid, hwaddr addr,
                               bool no_write);
/* ATS Control may have been written */
void atsx_atc_control_written(ATSXFunction *s);
/* Forget the Invalidate Requests that ATSX_INV_DELAY keeps */
void atsx_atc_drop_delayed(ATSXFunction *s);

/* ats-exerciser-dma.c */
void atsx_dma_init(ATSXFunction *s);
void atsx_dma_exit(ATSXFunction *s);
void atsx_dma_start(ATSXFunction *s, uint32_t cmd);
void atsx_dma_reset(ATSXFunction *s);

#endif /* HW_MISC_ATS_EXERCISER_H */
