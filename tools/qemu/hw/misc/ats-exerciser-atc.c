/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ats-exerciser: the Address Translation Cache and its invalidation
 *
 * See ats-exerciser.c. Section numbers are those of PCIe r6.0.
 */
#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "ats-exerciser.h"

struct ATSXDelayed {
    ATSXFunction *s;
    PCIATSInvalidation *inv;
    QEMUTimer timer;
    QTAILQ_ENTRY(ATSXDelayed) next;
};

static bool atsx_entry_overlaps(const ATSXEntry *e, hwaddr addr, hwaddr mask)
{
    /* Both are aligned powers of two: one contains the other, or neither */
    return !((e->iova ^ addr) & ~(e->mask | mask));
}

static void atsx_atc_remove(ATSXFunction *s, ATSXEntry *e)
{
    e->valid = false;
    s->counter[ATSX_CNT_ATC_ENTRIES]--;
}

void atsx_atc_flush(ATSXFunction *s)
{
    for (uint32_t i = 0; i < s->atc_size; i++) {
        s->atc[i].valid = false;
    }
    s->counter[ATSX_CNT_ATC_ENTRIES] = 0;
}

/*
 * 10.3.8: without a PASID a request is for the translations without one; with
 * Global Invalidate, for those of all PASIDs.
 */
static void atsx_atc_invalidate(ATSXFunction *s, const PCIATSInvalidation *inv)
{
    for (uint32_t i = 0; i < s->atc_size; i++) {
        ATSXEntry *e = &s->atc[i];
        bool pasid = e->pasid == inv->pasid ||
                     (inv->global && e->pasid != PCI_NO_PASID);

        if (e->valid && pasid &&
            atsx_entry_overlaps(e, inv->addr, inv->mask)) {
            atsx_atc_remove(s, e);
        }
    }
}

const ATSXEntry *atsx_atc_lookup(ATSXFunction *s, uint32_t pasid, hwaddr addr)
{
    for (uint32_t i = 0; i < s->atc_size; i++) {
        const ATSXEntry *e = &s->atc[i];

        if (e->valid && e->pasid == pasid && (addr & ~e->mask) == e->iova) {
            return e;
        }
    }
    return NULL;
}

const ATSXEntry *atsx_atc_fill(ATSXFunction *s, uint32_t pasid, hwaddr addr,
                               bool no_write)
{
    PCIDevice *pf = PCI_DEVICE(s->pf);
    /* 10.5.1.3: a VF's STU is its PF's */
    uint16_t ctrl = pf->exp.ats_cap ?
        pci_get_word(pf->config + pf->exp.ats_cap + PCI_ATS_CTRL) : 0;
    hwaddr stu_mask = MAKE_64BIT_MASK(0, PCI_ATS_MIN_STU +
                                         PCI_ATS_CTRL_STU(ctrl));
    PCIATSTranslation req = {
        .iova = addr & ~stu_mask,
        .pasid = pasid,
        .no_write = no_write,
    };
    ATSXEntry *victim = &s->atc[0];

    /*
     * An answer without permissions means that there is no mapping, and is not
     * cached (10.2.3.5). One for less than the STU comes from an IOMMU that
     * was programmed otherwise: nothing good could be made of it.
     */
    if (!pci_ats_translate(PCI_DEVICE(s), &req) || req.perm == IOMMU_NONE ||
        req.mask < stu_mask) {
        s->counter[ATSX_CNT_TR_REFUSED]++;
        return NULL;
    }
    s->counter[ATSX_CNT_TR_GRANTED]++;

    for (uint32_t i = 0; i < s->atc_size; i++) {
        ATSXEntry *e = &s->atc[i];

        if (e->valid && e->pasid == pasid &&
            atsx_entry_overlaps(e, req.iova & ~req.mask, req.mask)) {
            atsx_atc_remove(s, e);
        }
    }
    for (uint32_t i = 0; i < s->atc_size; i++) {
        if (!s->atc[i].valid) {
            victim = &s->atc[i];
            break;
        }
        if (s->atc[i].age < victim->age) {
            victim = &s->atc[i];
        }
    }
    if (!victim->valid) {
        s->counter[ATSX_CNT_ATC_ENTRIES]++;
    }

    *victim = (ATSXEntry) {
        .valid = true,
        .pasid = pasid,
        .iova = req.iova & ~req.mask,
        .mask = req.mask,
        .translated = req.translated & ~req.mask,
        .perm = req.perm,
        .age = s->atc_clock++,
    };
    return victim;
}

void atsx_atc_control_written(ATSXFunction *s)
{
    bool enabled = atsx_ats_enabled(s);

    /*
     * 10.3.7: Enable going from 0 to 1 is an implicit invalidation. Going from
     * 1 to 0 makes the entries useless, not invalid: they are still there for
     * the host to count.
     */
    if (enabled && !s->ats_was_enabled) {
        atsx_atc_flush(s);
    }
    s->ats_was_enabled = enabled;
}

static void atsx_inv_answer(ATSXFunction *s, PCIATSInvalidation *inv,
                            PCIATSInvResult result)
{
    s->counter[ATSX_CNT_INV_ANSWERED]++;
    pci_ats_inv_answer(inv, result);
}

static void atsx_inv_drop(ATSXFunction *s, PCIATSInvalidation *inv)
{
    s->counter[ATSX_CNT_INV_DROPPED]++;
    pci_ats_inv_drop(inv);
}

static void atsx_delayed_free(ATSXDelayed *d)
{
    QTAILQ_REMOVE(&d->s->delayed, d, next);
    timer_del(&d->timer);
    g_free(d);
}

static void atsx_delayed_expired(void *opaque)
{
    ATSXDelayed *d = opaque;
    ATSXFunction *s = d->s;
    PCIATSInvalidation *inv = d->inv;

    atsx_delayed_free(d);
    if (s->dead || !PCI_DEVICE(s)->enabled) {
        /* ATSX_RESET_KEEP_ALL kept it, but there is nobody to answer */
        atsx_inv_drop(s, inv);
        return;
    }
    atsx_atc_invalidate(s, inv);
    atsx_inv_answer(s, inv, PCI_ATS_INV_DONE);
}

static void atsx_inv_delay(ATSXFunction *s, PCIATSInvalidation *inv)
{
    ATSXDelayed *d = g_new0(ATSXDelayed, 1);

    d->s = s;
    d->inv = inv;
    timer_init_ns(&d->timer, QEMU_CLOCK_VIRTUAL, atsx_delayed_expired, d);
    timer_mod(&d->timer,
              qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
              s->inv_param * (int64_t)SCALE_MS);
    QTAILQ_INSERT_TAIL(&s->delayed, d, next);
}

void atsx_atc_drop_delayed(ATSXFunction *s)
{
    ATSXDelayed *d, *tmp;

    QTAILQ_FOREACH_SAFE(d, &s->delayed, next, tmp) {
        PCIATSInvalidation *inv = d->inv;

        atsx_delayed_free(d);
        atsx_inv_drop(s, inv);
    }
}

/*
 * What a function does with a request while ATS is disabled is not laid down:
 * 10.3.1 has the IOMMU send none then.
 */
static void atsx_inv_disabled(ATSXFunction *s, PCIATSInvalidation *inv)
{
    s->counter[ATSX_CNT_INV_DISABLED]++;
    switch (s->inv_policy_disabled) {
    case ATSX_INV_DISABLED_IGNORE:
        atsx_inv_drop(s, inv);
        break;
    case ATSX_INV_DISABLED_UR:
        atsx_inv_answer(s, inv, PCI_ATS_INV_UR);
        break;
    case ATSX_INV_DISABLED_ANSWER:
    default:
        atsx_atc_invalidate(s, inv);
        atsx_inv_answer(s, inv, PCI_ATS_INV_DONE);
        break;
    }
}

static void atsx_invalidate(PCIDevice *dev, PCIATSInvalidation *inv)
{
    ATSXFunction *s = ATS_EXERCISER_BASE(dev);

    s->counter[ATSX_CNT_INV_RECEIVED]++;
    if (!pci_ats_check(dev, inv->pasid, PCI_ATS_CHECK_PEEK, inv->addr, false)) {
        s->counter[ATSX_CNT_INV_FENCED]++;
    }
    if (s->dead) {
        atsx_inv_drop(s, inv);
        return;
    }
    if (!atsx_ats_enabled(s)) {
        atsx_inv_disabled(s, inv);
        return;
    }

    if (s->inv_policy == ATSX_INV_DROP_N && !s->inv_param) {
        s->inv_policy = ATSX_INV_ANSWER;
    }
    switch (s->inv_policy) {
    case ATSX_INV_DROP:
        atsx_inv_drop(s, inv);
        break;
    case ATSX_INV_DROP_N:
        if (!--s->inv_param) {
            s->inv_policy = ATSX_INV_ANSWER;
        }
        atsx_inv_drop(s, inv);
        break;
    case ATSX_INV_DELAY:
        atsx_inv_delay(s, inv);
        break;
    case ATSX_INV_LIE:
        atsx_inv_answer(s, inv, PCI_ATS_INV_DONE);
        break;
    case ATSX_INV_UR:
        atsx_inv_answer(s, inv, PCI_ATS_INV_UR);
        break;
    case ATSX_INV_ANSWER:
    default:
        atsx_atc_invalidate(s, inv);
        atsx_inv_answer(s, inv, PCI_ATS_INV_DONE);
        break;
    }
}

static const PCIATSEndpointOps atsx_ats_ops = {
    .invalidate = atsx_invalidate,
};

void atsx_atc_init(ATSXFunction *s, uint32_t entries)
{
    s->atc = g_new0(ATSXEntry, entries);
    s->atc_size = entries;
    QTAILQ_INIT(&s->delayed);
    pci_ats_register(PCI_DEVICE(s), &atsx_ats_ops);
}

void atsx_atc_exit(ATSXFunction *s)
{
    atsx_atc_drop_delayed(s);
    pci_ats_register(PCI_DEVICE(s), NULL);
    g_clear_pointer(&s->atc, g_free);
    s->atc_size = 0;
}
