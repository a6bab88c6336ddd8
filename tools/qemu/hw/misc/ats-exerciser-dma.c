/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ats-exerciser: the DMA engine
 *
 * See ats-exerciser.c. Section numbers are those of PCIe r6.0.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/units.h"
#include "exec/address-spaces.h"
#include "hw/pci/msix.h"
#include "ats-exerciser.h"

/* A piece never crosses the smallest page that any IOMMU translates */
#define ATSX_PIECE              4096

static bool atsx_dma_is_transfer(uint32_t cmd)
{
    return cmd == ATSX_CMD_READ || cmd == ATSX_CMD_WRITE ||
           cmd == ATSX_CMD_COMPARE;
}

static bool atsx_dma_valid(const ATSXCommand *c)
{
    const uint32_t flags = ATSX_DMA_TRANSLATED | ATSX_DMA_PASID_VALID |
                           ATSX_DMA_NO_WRITE;

    if (c->cmd == ATSX_CMD_ATC_FLUSH) {
        return true;
    }
    if (!atsx_dma_is_transfer(c->cmd) && c->cmd != ATSX_CMD_TRANSLATE &&
        c->cmd != ATSX_CMD_LOOKUP) {
        return false;
    }
    return !(c->flags & ~flags) && c->len && c->len <= ATSX_MAX_DMA_LEN &&
           !(c->addr % 8) && !(c->len % 8) &&
           c->addr <= UINT64_MAX - (c->len - 1) &&
           (c->pasid == PCI_NO_PASID || c->pasid <= PCI_ATS_PASID_MAX);
}

/* May the function send a request like this at all? */
static bool atsx_dma_enabled(ATSXFunction *s, const ATSXCommand *c)
{
    PCIDevice *dev = PCI_DEVICE(s);

    if (!(pci_get_word(dev->config + PCI_COMMAND) & PCI_COMMAND_MASTER)) {
        return false;
    }
    /* 10.2.1: without ATS Enable, the AT field of every request is 00b */
    if ((c->cmd == ATSX_CMD_TRANSLATE || (c->flags & ATSX_DMA_TRANSLATED)) &&
        !atsx_ats_enabled(s)) {
        return false;
    }
    return c->pasid == PCI_NO_PASID || atsx_pasid_enabled(s);
}

/* Move one piece; the result is that of the command, OK to go on */
static uint32_t atsx_dma_piece(ATSXFunction *s, const ATSXCommand *c,
                               hwaddr addr, void *buf, uint32_t len,
                               bool is_write)
{
    PCIDevice *dev = PCI_DEVICE(s);
    AddressSpace *as;
    const ATSXEntry *e;
    MemTxResult res;

    if (!(c->flags & ATSX_DMA_TRANSLATED)) {
        as = c->pasid == PCI_NO_PASID ? pci_get_address_space(dev) :
             pci_ats_pasid_address_space(dev, c->pasid);
        if (!as) {
            return ATSX_RESULT_REJECTED;
        }
        res = dma_memory_rw(as, addr, buf, len,
                            is_write ? DMA_DIRECTION_FROM_DEVICE :
                                       DMA_DIRECTION_TO_DEVICE,
                            MEMTXATTRS_UNSPECIFIED);
        return res == MEMTX_OK ? ATSX_RESULT_OK : ATSX_RESULT_REJECTED;
    }

    e = atsx_atc_lookup(s, c->pasid, addr);
    if (!e || !(e->perm & (is_write ? IOMMU_WO : IOMMU_RO))) {
        return ATSX_RESULT_NO_ENTRY;
    }
    /*
     * 10.2.1: the address of a Translated request is a physical one. It is
     * the IOMMU's to say whether this function may send such a request.
     */
    if (!pci_ats_check(dev, c->pasid, PCI_ATS_CHECK_TRANSLATED,
                       e->translated + (addr & e->mask), is_write)) {
        return ATSX_RESULT_REJECTED;
    }
    res = address_space_rw(&address_space_memory,
                           e->translated + (addr & e->mask),
                           MEMTXATTRS_UNSPECIFIED, buf, len, is_write);
    return res == MEMTX_OK ? ATSX_RESULT_OK : ATSX_RESULT_REJECTED;
}

static uint32_t atsx_dma_transfer(ATSXFunction *s, const ATSXCommand *c)
{
    bool is_write = c->cmd == ATSX_CMD_WRITE;
    uint64_t buf[ATSX_PIECE / 8];

    if (is_write) {
        for (unsigned i = 0; i < ARRAY_SIZE(buf); i++) {
            buf[i] = cpu_to_le64(c->pattern);
        }
    }

    while (s->dma_count < c->len) {
        hwaddr addr = c->addr + s->dma_count;
        uint32_t len = MIN(c->len - s->dma_count,
                           ATSX_PIECE - addr % ATSX_PIECE);
        uint32_t result = atsx_dma_piece(s, c, addr, buf, len, is_write);

        if (result != ATSX_RESULT_OK) {
            return result;
        }
        if (c->cmd == ATSX_CMD_READ && !s->dma_count) {
            s->dma_data = le64_to_cpu(buf[0]);
        }
        for (unsigned i = 0; c->cmd == ATSX_CMD_COMPARE && i < len / 8; i++) {
            uint64_t word = le64_to_cpu(buf[i]);

            if (word != c->pattern && !s->dma_mismatch++) {
                s->dma_data = word;
            }
        }
        s->dma_count += len;
    }
    return ATSX_RESULT_OK;
}

static uint32_t atsx_dma_translate(ATSXFunction *s, const ATSXCommand *c)
{
    while (s->dma_count < c->len) {
        hwaddr addr = c->addr + s->dma_count;
        const ATSXEntry *e = atsx_atc_fill(s, c->pasid, addr,
                                           c->flags & ATSX_DMA_NO_WRITE);

        if (!e) {
            return ATSX_RESULT_REJECTED;
        }
        s->dma_count += MIN(c->len - s->dma_count - 1,
                            e->mask - (addr & e->mask)) + 1;
    }
    return ATSX_RESULT_OK;
}

static uint32_t atsx_dma_lookup(ATSXFunction *s, const ATSXCommand *c)
{
    uint32_t done = 0;

    while (done < c->len) {
        hwaddr addr = c->addr + done;
        uint32_t len = MIN(c->len - done, ATSX_PIECE - addr % ATSX_PIECE);

        if (atsx_atc_lookup(s, c->pasid, addr)) {
            s->dma_count += len;
        }
        done += len;
    }
    return ATSX_RESULT_OK;
}

static uint32_t atsx_dma_execute(ATSXFunction *s, const ATSXCommand *c)
{
    if (!atsx_dma_valid(c)) {
        return ATSX_RESULT_INVALID;
    }
    switch (c->cmd) {
    case ATSX_CMD_LOOKUP:
        return atsx_dma_lookup(s, c);
    case ATSX_CMD_ATC_FLUSH:
        atsx_atc_flush(s);
        return ATSX_RESULT_OK;
    default:
        break;
    }
    if (!atsx_dma_enabled(s, c)) {
        return ATSX_RESULT_DISABLED;
    }
    return c->cmd == ATSX_CMD_TRANSLATE ? atsx_dma_translate(s, c) :
                                          atsx_dma_transfer(s, c);
}

static void atsx_dma_count_result(ATSXFunction *s, const ATSXCommand *c)
{
    bool translated = c->flags & ATSX_DMA_TRANSLATED;

    if (!atsx_dma_is_transfer(c->cmd)) {
        return;
    }
    switch (s->dma_result) {
    case ATSX_RESULT_OK:
        s->counter[translated ? ATSX_CNT_TDMA_DONE : ATSX_CNT_UDMA_DONE]++;
        break;
    case ATSX_RESULT_REJECTED:
        s->counter[translated ? ATSX_CNT_TDMA_REJECTED :
                                ATSX_CNT_UDMA_REJECTED]++;
        break;
    case ATSX_RESULT_NO_ENTRY:
        s->counter[ATSX_CNT_TDMA_NO_ENTRY]++;
        break;
    default:
        break;
    }
}

static void atsx_dma_bh(void *opaque)
{
    ATSXFunction *s = opaque;

    s->dma_count = 0;
    s->dma_mismatch = 0;
    s->dma_data = 0;
    s->dma_result = atsx_dma_execute(s, &s->running);
    atsx_dma_count_result(s, &s->running);

    s->irq_status |= ATSX_IRQ_DMA_DONE;
    if (s->irq_enable & ATSX_IRQ_DMA_DONE) {
        msix_notify(PCI_DEVICE(s), 0);
    }
}

void atsx_dma_start(ATSXFunction *s, uint32_t cmd)
{
    if (s->dma_result == ATSX_RESULT_BUSY) {
        return;
    }
    s->running = (ATSXCommand) {
        .cmd = cmd,
        .flags = s->dma_flags,
        /* A PASID of more than 20 bits must not become "no PASID" */
        .pasid = s->dma_flags & ATSX_DMA_PASID_VALID ?
                 MIN(s->dma_pasid, PCI_ATS_PASID_MAX + 1) : PCI_NO_PASID,
        .addr = s->dma_addr,
        .len = s->dma_len,
        .pattern = s->dma_pattern,
    };
    s->dma_result = ATSX_RESULT_BUSY;
    qemu_bh_schedule(s->bh);
}

void atsx_dma_reset(ATSXFunction *s)
{
    qemu_bh_cancel(s->bh);
    s->dma_addr = 0;
    s->dma_len = 0;
    s->dma_flags = 0;
    s->dma_pasid = 0;
    s->dma_pattern = 0;
    s->dma_result = ATSX_RESULT_OK;
    s->dma_count = 0;
    s->dma_mismatch = 0;
    s->dma_data = 0;
    s->irq_status = 0;
    s->irq_enable = 0;
}

void atsx_dma_init(ATSXFunction *s)
{
    s->bh = qemu_bh_new_guarded(atsx_dma_bh, s,
                                &DEVICE(s)->mem_reentrancy_guard);
}

void atsx_dma_exit(ATSXFunction *s)
{
    g_clear_pointer(&s->bh, qemu_bh_delete);
}
