/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SMMUv3 of the virt machine, driven by a test. Section numbers are those
 * of IHI 0070.
 */
#ifndef ATS_SMMUV3_H
#define ATS_SMMUV3_H

#include "ats-test.h"

/* Registers, chapter 6 */
#define SMMU_IDR0               0x00
#define  SMMU_IDR0_ATS          (1 << 10)
#define  SMMU_IDR0_MSI          (1 << 13)
#define SMMU_CR0                0x20
#define  SMMU_CR0_SMMUEN        (1 << 0)
#define  SMMU_CR0_EVENTQEN      (1 << 2)
#define  SMMU_CR0_CMDQEN        (1 << 3)
#define  SMMU_CR0_ATSCHK        (1 << 4)
#define SMMU_IRQ_CTRL           0x50
#define  SMMU_IRQ_CTRL_GERROR   (1 << 0)
#define  SMMU_IRQ_CTRL_EVENTQ   (1 << 2)
#define SMMU_GERROR             0x60
#define SMMU_GERRORN            0x64
#define  SMMU_GERROR_CMDQ       (1 << 0)
#define  SMMU_GERROR_MSI_CMDQ   (1 << 4)
#define SMMU_GERROR_IRQ_CFG0    0x68
#define SMMU_GERROR_IRQ_CFG1    0x70
#define SMMU_STRTAB_BASE        0x80
#define SMMU_STRTAB_BASE_CFG    0x88
#define SMMU_CMDQ_BASE          0x90
#define SMMU_CMDQ_PROD          0x98
#define SMMU_CMDQ_CONS          0x9c
#define SMMU_EVENTQ_BASE        0xa0
#define SMMU_EVENTQ_PROD        0x100a8
#define SMMU_EVENTQ_CONS        0x100ac
#define SMMU_EVENTQ_IRQ_CFG0    0xb0
#define SMMU_EVENTQ_IRQ_CFG1    0xb8

#define SMMU_CR0_ALL            (SMMU_CR0_SMMUEN | SMMU_CR0_EVENTQEN | \
                                 SMMU_CR0_CMDQEN | SMMU_CR0_ATSCHK)

/* CMDQ_CONS.ERR, 7.1 */
#define SMMU_CERROR_NONE        0
#define SMMU_CERROR_ILL         1
#define SMMU_CERROR_ATC_INV     3

/* Events, 7.3 */
#define SMMU_EVT_C_BAD_STE      0x04
#define SMMU_EVT_BAD_ATS_TREQ   0x05
#define SMMU_EVT_TRANSL_FORBIDDEN 0x07

/* STE.Config, 5.2 */
#define SMMU_STE_ABORT          0
#define SMMU_STE_BYPASS         4
#define SMMU_STE_S1             5

/* CMD_SYNC.CS, 4.7.3 */
#define SMMU_SYNC_NONE          0
#define SMMU_SYNC_IRQ           1

#define SMMU_ATC_INV_ALL        52

typedef struct ATSSMMU {
    ATSTest t;
    uint32_t prod;              /* where the next command goes */
    uint32_t evt_cons;
} ATSSMMU;

/*
 * The machine with the SMMU enabled, a stage 1 table for ATS_IOVA (writable but
 * for the last page), and STEs with EATS = 1 for all functions.
 */
void smmu_start(ATSSMMU *s, const char *args, const char *props);

uint32_t smmu_readl(ATSSMMU *s, unsigned reg);
void smmu_writel(ATSSMMU *s, unsigned reg, uint32_t val);
void smmu_writeq(ATSSMMU *s, unsigned reg, uint64_t val);

/* Write an STE; it counts after smmu_cfgi() */
void smmu_ste(ATSSMMU *s, unsigned fn, bool valid, unsigned config,
              unsigned eats);
void smmu_cfgi(ATSSMMU *s, unsigned fn);

/* Put commands into the queue; nobody knows before smmu_go() */
void smmu_cmd(ATSSMMU *s, uint64_t lo, uint64_t hi);
void smmu_atc_inv(ATSSMMU *s, unsigned fn, uint64_t addr, unsigned size);
void smmu_sync(ATSSMMU *s);
void smmu_sync_msi(ATSSMMU *s, uint64_t addr, uint32_t data);
void smmu_go(ATSSMMU *s);

/* How many commands in the queue are not consumed */
unsigned smmu_left(ATSSMMU *s);
/* CONS.ERR if a command queue error is active, else SMMU_CERROR_NONE */
unsigned smmu_error(ATSSMMU *s);
void smmu_acknowledge(ATSSMMU *s);

/* Consume an event; false if there is none */
bool smmu_event(ATSSMMU *s, uint64_t evt[4]);

/* CMD_ATC_INV of one page and CMD_SYNC */
void smmu_invalidate(ATSSMMU *s, unsigned fn, unsigned page);

#endif /* ATS_SMMUV3_H */
