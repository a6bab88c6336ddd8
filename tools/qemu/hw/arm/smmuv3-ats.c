/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMMUv3: Address Translation Services
 *
 * Section numbers are those of the Arm SMMU architecture, IHI 0070.
 *
 * Limitations:
 *  - Neither split-stage ATS (STE.EATS = 0b10; IDR0.NS1ATS says so) nor PRI.
 *  - The SMMU has no substreams, so whatever comes with a PASID is refused
 *    without an event.
 *  - IDR0.ATSRECERR is 0: Translation Requests that end on a configuration
 *    error or a translation fault are answered and not recorded (3.9.1.2).
 *  - F_BAD_ATS_TREQ has StreamID, SubstreamID and address, nothing else.
 *  - A CMD_ATC_INV to a StreamID that no function ever had is complete at once.
 *  - The time-out of CMD_ATC_INV is counted from the CMD_SYNC that waits for
 *    it, and is common to all that are outstanding then: none is convicted
 *    before its time, and some up to the age of the oldest one later.
 *  - While CMDQEN is clear nothing times out. What is outstanding stays so, and
 *    the first CMD_SYNC after that waits for it with a time-out of its own.
 *  - An MSI, that of a CMD_SYNC or of an interrupt, is a plain write: its
 *    attributes are ignored, and an ITS takes it for one of DeviceID 0.
 *  - *_IRQ_CFG can be written whether IRQ_CTRL enables that interrupt or not.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "hw/arm/smmuv3.h"
#include "hw/pci/pci_ats.h"
#include "hw/pci/pci_bus.h"
#include "smmuv3-internal.h"
#include "trace.h"

/* STE.EATS, 5.2 */
#define STE_EATS_FULL           1

/* CMD_ATC_INV, 4.5.1 */
#define CMD_ATC_INV_GLOBAL(x)   extract32((x)->word[0], 9, 1)
#define CMD_ATC_INV_SIZE(x)     extract32((x)->word[2], 0, 6)
#define CMD_ATC_INV_SIZE_ALL    52

/* A CMD_ATC_INV that is not answered yet */
struct SMMUv3ATCInv {
    SMMUv3State *s;
    PCIATSInvalidation *inv;
    QTAILQ_ENTRY(SMMUv3ATCInv) next;
};

static SMMUDevice *smmuv3_ats_device(PCIBus *bus, void *opaque, int devfn)
{
    AddressSpace *as = smmu_find_add_as(bus, opaque, devfn);

    return container_of(as, SMMUDevice, as);
}

/*
 * What STE.EATS says about a Translation Request or a Translated transaction:
 * 3.9.1.2, 3.9.1.3. The STE is the one that the SMMU may use now: the
 * configuration cache holds it until a CMD_CFGI.
 */
static bool smmuv3_ats_check(PCIBus *bus, void *opaque, int devfn,
                             uint32_t pasid, PCIATSCheck what, hwaddr addr,
                             bool is_write)
{
    SMMUDevice *sdev = smmuv3_ats_device(bus, opaque, devfn);
    SMMUv3State *s = sdev->smmu;
    bool translated = what == PCI_ATS_CHECK_TRANSLATED;
    SMMUEventInfo event = {
        .type = SMMU_EVT_NONE,
        .sid = smmu_get_sid(sdev),
        .inval_ste_allowed = what == PCI_ATS_CHECK_PEEK,
    };
    SMMUTransCfg *cfg;
    bool allowed = false;

    /* There is no Stream table to allow anything, and no event */
    if (!smmu_enabled(s)) {
        return false;
    }
    if (pasid != PCI_NO_PASID) {
        return false;
    }
    /* Fast mode: Translated transactions are not looked at */
    if (translated && !FIELD_EX32(s->cr[0], CR0, ATSCHK)) {
        return true;
    }

    qemu_mutex_lock(&s->mutex);
    cfg = smmuv3_get_config(sdev, &event);
    if (!cfg) {
        /* Recorded for Translated transactions, see ATSRECERR above */
        if (!translated) {
            event.type = SMMU_EVT_NONE;
        }
    } else if (cfg->aborted) {
        /* STE.Config = 0b000: no event */
    } else if (cfg->bypassed || cfg->eats != STE_EATS_FULL) {
        if (translated) {
            event.type = SMMU_EVT_F_TRANS_FORBIDDEN;
            event.u.f_transl_forbidden.addr = addr;
            event.u.f_transl_forbidden.rnw = !is_write;
        } else {
            event.type = SMMU_EVT_F_BAD_ATS_TREQ;
            event.u.f_bad_ats_treq.addr = addr;
        }
    } else {
        allowed = true;
    }
    qemu_mutex_unlock(&s->mutex);

    if (what != PCI_ATS_CHECK_PEEK) {
        trace_smmuv3_ats_check(event.sid, translated, addr, allowed);
        smmuv3_record_event(s, &event);
    }
    return allowed;
}

static bool smmuv3_ats_translate(PCIBus *bus, void *opaque, int devfn,
                                 PCIATSTranslation *req)
{
    SMMUDevice *sdev = smmuv3_ats_device(bus, opaque, devfn);
    SMMUv3State *s = sdev->smmu;
    /* Faults of a Translation Request are its answer, not events: 3.9.1.2 */
    SMMUEventInfo event = { .sid = smmu_get_sid(sdev) };
    SMMUTLBEntry *entry;
    SMMUTransCfg *cfg;
    bool answered = true;

    if (!smmuv3_ats_check(bus, opaque, devfn, req->pasid,
                          PCI_ATS_CHECK_REQUEST, req->iova, false)) {
        return false;
    }

    req->perm = IOMMU_NONE;
    qemu_mutex_lock(&s->mutex);
    cfg = smmuv3_get_config(sdev, &event);
    if (!cfg) {
        answered = false;
    } else if (smmuv3_do_translate(s, req->iova, cfg, &event, IOMMU_RO, &entry,
                                   SMMU_CLASS_IN) == SMMU_TRANS_SUCCESS) {
        /* With two stages, parent_perm is what stage 2 says */
        req->perm = entry->entry.perm & entry->parent_perm;
        req->translated = CACHED_ENTRY_TO_ADDR(entry, req->iova);
        req->mask = entry->entry.addr_mask;
    } else if (event.type == SMMU_EVT_F_WALK_EABT) {
        answered = false;
    }
    qemu_mutex_unlock(&s->mutex);

    if (req->no_write) {
        req->perm &= ~IOMMU_WO;
    }
    trace_smmuv3_ats_translate(event.sid, req->iova, req->translated,
                               req->mask, req->perm);
    return answered;
}

static const PCIATSIOMMUOps smmuv3_ats_ops = {
    .check = smmuv3_ats_check,
    .translate = smmuv3_ats_translate,
};

static void smmuv3_atc_inv_free(SMMUv3ATCInv *a)
{
    QTAILQ_REMOVE(&a->s->atc_invs, a, next);
    pci_ats_inv_abandon(a->inv);
    g_free(a);
}

/*
 * Unsupported Request is an answer like any other: a function that knows no
 * Invalidate Request has nothing cached (4.5.1).
 */
static void smmuv3_atc_inv_done(PCIATSInvalidation *inv, PCIATSInvResult result)
{
    SMMUv3ATCInv *a = inv->opaque;
    SMMUv3State *s = a->s;

    trace_smmuv3_atc_inv_done(inv->sid, result);
    smmuv3_atc_inv_free(a);
    if (s->atc_waiting && QTAILQ_EMPTY(&s->atc_invs)) {
        qemu_bh_schedule(s->atc_bh);
    }
}

SMMUCmdError smmuv3_atc_inv(SMMUv3State *s, Cmd *cmd)
{
    uint32_t sid = CMD_SID(cmd);
    uint32_t size = CMD_ATC_INV_SIZE(cmd);
    uint32_t pasid = CMD_SSV(cmd) ? CMD_SSID(cmd) : PCI_NO_PASID;
    bool global = CMD_SSV(cmd) && CMD_ATC_INV_GLOBAL(cmd);
    hwaddr mask = size >= CMD_ATC_INV_SIZE_ALL ? UINT64_MAX :
                  MAKE_64BIT_MASK(0, 12 + size);
    SMMUDevice *sdev;
    SMMUv3ATCInv *a;

    if (!FIELD_EX32(s->idr[0], IDR0, ATS)) {
        return SMMU_CERROR_ILL;
    }
    trace_smmuv3_cmdq_atc_inv(sid, pasid, CMD_ADDR(cmd), size, global);

    sdev = smmu_find_sdev(ARM_SMMU(s), sid);
    if (!sdev) {
        /* No function below this SMMU was ever called so */
        return SMMU_CERROR_NONE;
    }

    a = g_new0(SMMUv3ATCInv, 1);
    a->s = s;
    a->inv = pci_ats_inv_new(CMD_ADDR(cmd), mask, pasid, global,
                             smmuv3_atc_inv_done, a);
    QTAILQ_INSERT_TAIL(&s->atc_invs, a, next);
    pci_ats_inv_send(sdev->bus, sdev->devfn, a->inv);
    return SMMU_CERROR_NONE;
}

static void smmuv3_atc_abandon(SMMUv3State *s)
{
    SMMUv3ATCInv *a, *tmp;

    QTAILQ_FOREACH_SAFE(a, &s->atc_invs, next, tmp) {
        smmuv3_atc_inv_free(a);
    }
}

/*
 * 4.7.3: a CMD_SYNC completes when the CMD_ATC_INVs before it have. When one of
 * them times out, the CMD_SYNC is the command that fails, with
 * CERROR_ATC_INV_SYNC (7.1). Acknowledging the error lets it run again: it then
 * completes, unless the SMMU remembers what is outstanding.
 */
SMMUATCSync smmuv3_atc_sync(SMMUv3State *s)
{
    bool timed_out = s->atc_timed_out;

    s->atc_waiting = false;
    s->atc_timed_out = false;
    if (QTAILQ_EMPTY(&s->atc_invs)) {
        if (s->atc_timer) {
            timer_del(s->atc_timer);
        }
        return SMMU_ATC_SYNC_DONE;
    }
    if (timed_out) {
        trace_smmuv3_atc_inv_timeout(QTAILQ_FIRST(&s->atc_invs)->inv->sid);
        if (!s->atc_timeout_repeats) {
            smmuv3_atc_abandon(s);
        }
        return SMMU_ATC_SYNC_TIMEOUT;
    }
    s->atc_waiting = true;
    if (s->atc_timeout && !timer_pending(s->atc_timer)) {
        timer_mod(s->atc_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                                s->atc_timeout * (int64_t)SCALE_MS);
    }
    return SMMU_ATC_SYNC_WAIT;
}

static void smmuv3_atc_resume(void *opaque)
{
    smmuv3_cmdq_consume(opaque);
}

static void smmuv3_atc_expired(void *opaque)
{
    SMMUv3State *s = opaque;

    s->atc_timed_out = true;
    smmuv3_cmdq_consume(s);
}

void smmuv3_ats_realize(SMMUv3State *s)
{
    ARM_SMMU(s)->ats_ops = &smmuv3_ats_ops;
    s->atc_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, smmuv3_atc_expired, s);
    s->atc_bh = qemu_bh_new_guarded(smmuv3_atc_resume, s,
                                    &DEVICE(s)->mem_reentrancy_guard);
}

/*
 * An answer to what is outstanding still counts, but neither that nor the
 * time-out moves the queue. If the queue goes on with the same CMD_SYNC, that
 * must not complete as if nothing had been outstanding.
 */
void smmuv3_atc_stop_waiting(SMMUv3State *s)
{
    s->atc_waiting = false;
    s->atc_timed_out = false;
    if (s->atc_timer) {
        timer_del(s->atc_timer);
    }
}

void smmuv3_ats_reset(SMMUv3State *s)
{
    smmuv3_atc_abandon(s);
    smmuv3_atc_stop_waiting(s);
}
