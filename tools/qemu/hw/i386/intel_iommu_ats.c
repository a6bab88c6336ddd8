/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel IOMMU: Address Translation Services
 *
 * Section numbers are those of the VT-d specification, revision 4.1.
 *
 * Device-TLB invalidations that are not answered yet and the invalidation wait
 * descriptors behind them stand in one list, in the order of the queue. A wait
 * descriptor is completed when it comes to the head of that list (6.5.2.8), so
 * the fetch goes on behind it unless its fence flag is set.
 *
 * Limitations:
 *  - Whether a function may use ATS is decided from the context entry, and for
 *    Translation Requests in scalable mode from the presence of the PASID entry
 *    as well. A Translated request does not look for the latter, except that a
 *    context entry which is not cached counts as faulty without the PASID entry
 *    of RID_PASID. PASID entries are not cached, so that nobody notices if a
 *    PASID-cache invalidation is missing.
 *  - A Translation Request for the interrupt address range is refused; 3.14
 *    would answer it with "untranslated access only".
 *  - An invalidation for a source-id that no function ever had is complete at
 *    once.
 *  - No page requests, no Execute, no Privileged, no Global permission.
 *  - When several invalidations time out before software clears ITE, IQER_REG
 *    names the first one only.
 *  - The time-out of an invalidation is counted from the moment when the fetch
 *    of it and of its neighbours in the queue began, so that a batch times out
 *    as one. That may be earlier than it was sent by the time that fetching a
 *    batch takes.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "hw/i386/intel_iommu.h"
#include "hw/pci/pci_ats.h"
#include "hw/pci/pci_bus.h"
#include "intel_iommu_internal.h"
#include "trace.h"

/* Something that the invalidation queue has handed out, or waits with */
struct VTDInvPending {
    IntelIOMMUState *s;
    PCIATSInvalidation *inv;    /* NULL: a wait descriptor */
    int64_t deadline;           /* of @inv, INT64_MAX for none */
    VTDInvDesc wait;
    QTAILQ_ENTRY(VTDInvPending) next;
};

/*
 * The context entry that the IOMMU may use now: as in a translation, a copy in
 * the context cache is good until it is invalidated.
 */
static int vtd_ats_context_entry(VTDAddressSpace *vtd_as, VTDContextEntry *ce)
{
    IntelIOMMUState *s = vtd_as->iommu_state;
    VTDContextCacheEntry *cc = &vtd_as->context_cache_entry;
    int ret = 0;

    qemu_mutex_lock(&s->iommu_lock);
    if (cc->context_cache_gen == s->context_cache_gen) {
        *ce = cc->context_entry;
    } else {
        ret = vtd_dev_to_context_entry(s, pci_bus_num(vtd_as->bus),
                                       vtd_as->devfn, ce);
        if (!ret) {
            cc->context_entry = *ce;
            cc->context_cache_gen = s->context_cache_gen;
        }
    }
    qemu_mutex_unlock(&s->iommu_lock);
    return ret;
}

/* 0 or the reason why a device-TLB may not be used, as a negative fault code */
static int vtd_ats_permission(IntelIOMMUState *s, VTDContextEntry *ce,
                              uint32_t pasid, PCIATSCheck what)
{
    VTDPASIDEntry pe;

    if (!s->root_scalable) {
        /* 9.3: TT = 01b, and PASIDs exist in scalable mode only */
        if ((ce->lo & VTD_CONTEXT_ENTRY_TT) != VTD_CONTEXT_TT_DEV_IOTLB ||
            pasid != PCI_NO_PASID) {
            return -VTD_FR_CONTEXT_ENTRY_TT;
        }
        return 0;
    }
    /* 9.4: DTE and PASIDE */
    if (!(ce->lo & VTD_SM_CONTEXT_ENTRY_DTE)) {
        return -VTD_FR_SM_CONTEXT_ENTRY_DTE;
    }
    if (pasid != PCI_NO_PASID && !(ce->lo & VTD_SM_CONTEXT_ENTRY_PASIDE)) {
        return -VTD_FR_SM_CONTEXT_ENTRY_PASIDE;
    }
    /* There is nothing to translate with unless the PASID entry is present */
    return what == PCI_ATS_CHECK_TRANSLATED ? 0 :
           vtd_ce_get_rid2pasid_entry(s, ce, &pe, pasid);
}

/* 4.2.2, 4.2.3: Translation Requests and Translated requests */
static bool vtd_ats_check(PCIBus *bus, void *opaque, int devfn, uint32_t pasid,
                          PCIATSCheck what, hwaddr addr, bool is_write)
{
    IntelIOMMUState *s = opaque;
    VTDAddressSpace *vtd_as = vtd_find_add_as(s, bus, devfn, PCI_NO_PASID);
    uint16_t sid = PCI_BUILD_BDF(pci_bus_num(bus), devfn);
    VTDContextEntry ce = {};
    int ret;

    /* Without remapping both kinds are refused, and nothing is logged */
    if (!X86_IOMMU_DEVICE(s)->dt_supported || !s->dmar_enabled) {
        return false;
    }
    ret = vtd_ats_context_entry(vtd_as, &ce);
    if (!ret) {
        ret = vtd_ats_permission(s, &ce, pasid, what);
    }
    if (what == PCI_ATS_CHECK_PEEK) {
        return !ret;
    }
    trace_vtd_ats_check(sid, what == PCI_ATS_CHECK_TRANSLATED, addr, -ret);
    if (ret) {
        vtd_report_fault(s, -ret, ce.lo & VTD_CONTEXT_ENTRY_FPD, sid, addr,
                         is_write, pasid != PCI_NO_PASID, pasid);
    }
    return !ret;
}

static bool vtd_ats_translate(PCIBus *bus, void *opaque, int devfn,
                              PCIATSTranslation *req)
{
    IntelIOMMUState *s = opaque;
    VTDAddressSpace *vtd_as;
    IOMMUTLBEntry entry = {};

    if ((req->iova >= VTD_INTERRUPT_ADDR_FIRST &&
         req->iova <= VTD_INTERRUPT_ADDR_LAST) ||
        !vtd_ats_check(bus, opaque, devfn, req->pasid, PCI_ATS_CHECK_REQUEST,
                       req->iova, false)) {
        return false;
    }
    vtd_as = vtd_find_add_as(s, bus, devfn, req->pasid);

    /*
     * A first-stage walk for a request without NW marks the page dirty when it
     * grants write permission (4.2.2), which is what a walk for a write does.
     * What is read-only is asked for again. An address without a mapping is
     * answered with neither permission, and no fault is logged (7.1.1).
     */
    req->perm = IOMMU_NONE;
    RCU_READ_LOCK_GUARD();
    if ((!req->no_write && vtd_do_iommu_translate(vtd_as, bus, devfn, req->iova,
                                                  true, true, &entry)) ||
        vtd_do_iommu_translate(vtd_as, bus, devfn, req->iova, false, true,
                               &entry)) {
        req->perm = entry.perm;
        req->translated = entry.translated_addr + (req->iova & entry.addr_mask);
        req->mask = entry.addr_mask;
    }
    if (req->no_write) {
        req->perm &= ~IOMMU_WO;
    }
    trace_vtd_ats_translate(PCI_BUILD_BDF(pci_bus_num(bus), devfn), req->pasid,
                            req->iova, req->translated, req->mask, req->perm);
    return true;
}

static AddressSpace *vtd_ats_pasid_address_space(PCIBus *bus, void *opaque,
                                                 int devfn, uint32_t pasid)
{
    IntelIOMMUState *s = opaque;

    return s->root_scalable ? &vtd_find_add_as(s, bus, devfn, pasid)->as : NULL;
}

const PCIATSIOMMUOps vtd_ats_ops = {
    .check = vtd_ats_check,
    .translate = vtd_ats_translate,
    .pasid_address_space = vtd_ats_pasid_address_space,
};

static void vtd_inv_pending_free(VTDInvPending *p)
{
    QTAILQ_REMOVE(&p->s->inv_pending, p, next);
    if (p->inv) {
        pci_ats_inv_abandon(p->inv);
    }
    g_free(p);
}

/*
 * With late-status=on, the status write of a wait descriptor that is aborted
 * is held back, as if the descriptor had completed in time but the write were
 * on its way, until another one that has to wait has the same status address.
 */
static void vtd_inv_abort_wait(VTDInvPending *p)
{
    IntelIOMMUState *s = p->s;

    if (s->late_status && !s->inv_held) {
        QTAILQ_REMOVE(&s->inv_pending, p, next);
        s->inv_held = p;
    } else {
        vtd_inv_pending_free(p);
    }
}

static void vtd_inv_release_status(IntelIOMMUState *s, const VTDInvDesc *wait)
{
    VTDInvPending *held = s->inv_held;

    if (held && held->wait.hi == wait->hi) {
        s->inv_held = NULL;
        trace_vtd_ats_late_status(wait->hi);
        vtd_complete_wait_desc(s, &held->wait);
        g_free(held);
    }
}

static void vtd_inv_arm(IntelIOMMUState *s)
{
    int64_t deadline = INT64_MAX;
    VTDInvPending *p;

    QTAILQ_FOREACH(p, &s->inv_pending, next) {
        deadline = MIN(deadline, p->deadline);
    }
    if (deadline == INT64_MAX) {
        timer_del(s->inv_timer);
    } else {
        timer_mod(s->inv_timer, deadline);
    }
}

/* Complete the wait descriptors that nothing is before any more */
static void vtd_inv_complete_waits(IntelIOMMUState *s)
{
    VTDInvPending *p;

    while ((p = QTAILQ_FIRST(&s->inv_pending)) && !p->inv) {
        VTDInvDesc wait = p->wait;

        vtd_inv_pending_free(p);
        vtd_complete_wait_desc(s, &wait);
        if (wait.lo & VTD_INV_DESC_WAIT_FN) {
            s->inv_fenced = false;
        }
    }
}

static void vtd_inv_resume(void *opaque)
{
    IntelIOMMUState *s = opaque;

    if (s->qi_enabled && !vtd_ats_fetch_stopped(s) &&
        !(vtd_get_long_raw(s, DMAR_FSTS_REG) & VTD_FSTS_IQE)) {
        vtd_fetch_inv_desc(s);
    }
}

/* Unsupported Request is an answer like any other */
static void vtd_inv_done(PCIATSInvalidation *inv, PCIATSInvResult result)
{
    VTDInvPending *p = inv->opaque;
    IntelIOMMUState *s = p->s;
    bool fenced = s->inv_fenced;

    trace_vtd_ats_inv_done(inv->sid, result);
    vtd_inv_pending_free(p);
    vtd_inv_complete_waits(s);
    vtd_inv_arm(s);
    if (fenced && !s->inv_fenced) {
        qemu_bh_schedule(s->inv_bh);
    }
}

/*
 * 6.5.2.10: ITE is set, what waits is aborted, and nothing is fetched until
 * software has cleared ITE. Older hardware leaves the source-id of IQER_REG
 * zero.
 */
static void vtd_inv_expired(void *opaque)
{
    IntelIOMMUState *s = opaque;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint32_t fsts = vtd_get_long_raw(s, DMAR_FSTS_REG);
    VTDInvPending *p, *tmp;
    uint16_t sid = 0;
    bool expired = false;

    QTAILQ_FOREACH_SAFE(p, &s->inv_pending, next, tmp) {
        if (!p->inv) {
            vtd_inv_abort_wait(p);
        } else if (p->deadline <= now) {
            if (!expired) {
                sid = p->inv->sid;
            }
            expired = true;
            vtd_inv_pending_free(p);
        }
    }
    s->inv_fenced = false;
    vtd_inv_arm(s);
    if (!expired || (fsts & VTD_FSTS_ITE)) {
        return;
    }
    trace_vtd_ats_inv_timeout(sid);
    vtd_set_quad_raw(s, DMAR_IQER_REG,
                     s->ite_sid ? VTD_IQER_ITESID(sid) : 0);
    vtd_set_clear_mask_long(s, DMAR_FSTS_REG, 0, VTD_FSTS_ITE);
    vtd_generate_fault_event(s, fsts);
}

void vtd_ats_fetch_begins(IntelIOMMUState *s)
{
    s->inv_issued = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

void vtd_ats_invalidate(IntelIOMMUState *s, uint16_t sid, hwaddr addr,
                        hwaddr mask, uint32_t pasid, bool global)
{
    VTDAddressSpace *vtd_as = vtd_get_as_by_sid(s, sid);
    VTDInvPending *p;

    trace_vtd_ats_invalidate(sid, pasid, addr, mask, global);
    if (!vtd_as) {
        /* No function below this IOMMU was ever called so */
        return;
    }
    p = g_new0(VTDInvPending, 1);
    p->s = s;
    p->deadline = !s->inv_timeout ? INT64_MAX :
                  s->inv_issued + s->inv_timeout * (int64_t)SCALE_MS;
    p->inv = pci_ats_inv_new(addr, mask, pasid, global, vtd_inv_done, p);
    QTAILQ_INSERT_TAIL(&s->inv_pending, p, next);
    vtd_inv_arm(s);
    pci_ats_inv_send(vtd_as->bus, vtd_as->devfn, p->inv);
}

bool vtd_ats_defer_wait(IntelIOMMUState *s, const VTDInvDesc *desc)
{
    VTDInvPending *p;

    if (QTAILQ_EMPTY(&s->inv_pending)) {
        return false;
    }
    vtd_inv_release_status(s, desc);
    p = g_new0(VTDInvPending, 1);
    p->s = s;
    p->deadline = INT64_MAX;
    p->wait = *desc;
    QTAILQ_INSERT_TAIL(&s->inv_pending, p, next);
    if (desc->lo & VTD_INV_DESC_WAIT_FN) {
        s->inv_fenced = true;
    }
    return true;
}

bool vtd_ats_fetch_stopped(IntelIOMMUState *s)
{
    return s->inv_fenced ||
           (vtd_get_long_raw(s, DMAR_FSTS_REG) & VTD_FSTS_ITE);
}

void vtd_ats_fsts_written(IntelIOMMUState *s)
{
    vtd_inv_resume(s);
}

void vtd_ats_reset(IntelIOMMUState *s)
{
    VTDInvPending *p, *tmp;

    QTAILQ_FOREACH_SAFE(p, &s->inv_pending, next, tmp) {
        vtd_inv_pending_free(p);
    }
    s->inv_fenced = false;
    g_clear_pointer(&s->inv_held, g_free);
    timer_del(s->inv_timer);
}

void vtd_ats_realize(IntelIOMMUState *s)
{
    QTAILQ_INIT(&s->inv_pending);
    s->inv_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, vtd_inv_expired, s);
    s->inv_bh = qemu_bh_new_guarded(vtd_inv_resume, s,
                                    &DEVICE(s)->mem_reentrancy_guard);
}
