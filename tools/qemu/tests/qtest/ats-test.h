/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of Address Translation Services share: a machine with an
 * ats-exerciser behind a root port, set up as firmware and a driver would, the
 * exerciser's commands, and the host's reading of its counters.
 *
 * Functions of the exerciser are numbered as its properties are: 0 is the PF,
 * 1 the first VF. Function n is 01:00.n.
 */
#ifndef ATS_TEST_H
#define ATS_TEST_H

#include "hw/misc/ats_exerciser_regs.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"

#define ATS_VFS                 4
#define ATS_SID(fn)             (0x100 | (fn))

/* Pages that the tests map, and what they are mapped to */
#define ATS_IOVA                0x10000
#define ATS_PAGES               16
#define ATS_PAGE                0x1000
#define ATS_IOVA_OF(page)       (ATS_IOVA + (page) * ATS_PAGE)

#define ATS_MS                  1000000LL
#define ATS_US                  1000LL

typedef struct ATSMachine {
    const char *args;
    uint64_t ecam;
    uint64_t mmio;              /* where BARs go, 1 MiB */
    uint64_t ram;               /* 16 MiB that nobody else uses */
    bool pc;                    /* ECAM is switched on at port 0xcf8 */
} ATSMachine;

typedef struct ATSTest {
    QTestState *qts;
    const ATSMachine *m;
    char *firmware;
} ATSTest;

/*
 * Start the machine with the options @args and an exerciser with the properties
 * @props. BARs, Bus Master and VF Enable are set; ATS Enable is not.
 */
void ats_start(ATSTest *t, const ATSMachine *m, const char *args,
               const char *props);
void ats_stop(ATSTest *t);

/* Main memory, at an offset into ATSMachine::ram */
uint64_t ats_ram(ATSTest *t, uint64_t offset);
/* Physical address of what ATS_IOVA_OF(@page) is mapped to */
uint64_t ats_data(ATSTest *t, unsigned page);

/* Configuration space */
uint32_t ats_config_readl(ATSTest *t, unsigned fn, unsigned offset);
uint16_t ats_config_readw(ATSTest *t, unsigned fn, unsigned offset);
void ats_config_writew(ATSTest *t, unsigned fn, unsigned offset, uint16_t val);
/* The same of the root port */
uint16_t ats_port_readw(ATSTest *t, unsigned offset);
void ats_port_writew(ATSTest *t, unsigned offset, uint16_t val);
unsigned ats_cap(ATSTest *t, unsigned fn, uint8_t id);
unsigned ats_ext_cap(ATSTest *t, unsigned fn, uint16_t id);
/* Command, BARs and VFs, as at the start or after a reset of the PF */
void ats_set_up_pf(ATSTest *t);
void ats_set_up_vf(ATSTest *t, unsigned fn);
void ats_enable_vfs(ATSTest *t, bool enable);
void ats_enable(ATSTest *t, unsigned fn, bool enable);
void ats_flr(ATSTest *t, unsigned fn);

/* MSI-X of the PF: vector 0 writes @data to @addr */
void ats_enable_msix(ATSTest *t, uint64_t addr, uint32_t data);

/* Registers of BAR 0 */
uint64_t ats_reg(ATSTest *t, unsigned fn, unsigned reg);
uint32_t ats_readl(ATSTest *t, unsigned fn, unsigned reg);
uint64_t ats_readq(ATSTest *t, unsigned fn, unsigned reg);
void ats_writel(ATSTest *t, unsigned fn, unsigned reg, uint32_t val);
void ats_writeq(ATSTest *t, unsigned fn, unsigned reg, uint64_t val);

/* Run a command to its end and return its result */
uint32_t ats_command(ATSTest *t, unsigned fn, uint32_t cmd, uint32_t flags,
                     uint64_t addr, uint32_t len);
/* The same for one page */
uint32_t ats_translate(ATSTest *t, unsigned fn, unsigned page);
uint32_t ats_write_translated(ATSTest *t, unsigned fn, unsigned page,
                              uint64_t pattern);
bool ats_cached(ATSTest *t, unsigned fn, unsigned page);

/* The host's side: properties of the PF's object */
uint64_t ats_host(ATSTest *t, unsigned fn, const char *name);
void ats_host_set(ATSTest *t, unsigned fn, const char *name, uint64_t val);
bool ats_host_try(ATSTest *t, unsigned fn, const char *name, uint64_t val);
/* INV_POLICY and INV_PARAM */
void ats_policy(ATSTest *t, unsigned fn, uint32_t policy, uint32_t param);

void ats_step(ATSTest *t, int64_t ns);
/* Everything that QEMU has put off to its main loop has been done after this */
void ats_settle(ATSTest *t);

/* What happens from QEMU's main loop, without virtual time going by */
#define ats_wait(t, condition)                      \
    do {                                            \
        for (int n_ = 0; n_ < 100; n_++) {          \
            if (condition) {                        \
                break;                              \
            }                                       \
            ats_settle(t);                          \
        }                                           \
        g_assert(condition);                        \
    } while (0)

/* What must not happen: the main loop has had its chance */
#define ats_still(t, condition)                     \
    do {                                            \
        ats_settle(t);                              \
        g_assert(condition);                        \
    } while (0)

#endif /* ATS_TEST_H */
