/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share: the functions of the ats-exerciser, their state in sysfs
 * and in configuration space, the kernel log, fault injection, and the host's
 * view of the functions.
 *
 * Functions return 0 or a count, or a negative errno, so that a test can say
 * ASSERT_EQ(0, ...) and see the reason for a failure.
 */
#ifndef IOMMU_ATS_LIB_H
#define IOMMU_ATS_LIB_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "../../../../include/hw/ats_exerciser_regs.h"
#include "../../../../include/uapi/linux/ats_exerciser.h"

#include "kselftest.h"

/* 0 or -errno */
#define atsx_ioctl(fd, cmd, arg) (ioctl(fd, cmd, arg) ? -errno : 0)

/*
 * The exerciser. A function is named by its index as on the host, 0 for the PF
 * and N for VF N - 1, or by its address in sysfs. Of several exercisers, ex0 and on
 * in the order of their addresses, ATSX_EX() of the device's number is added to it.
 * The environment variable vm_ids says <vendor>:<device> of a PF with other IDs.
 */
#define BDF_SIZE	16

#define ATSX_EX(n)	((n) << 8)

int atsx_bdf(unsigned int index, char bdf[BDF_SIZE]);
int atsx_open(const char *bdf);

/*
 * Finds the PF. Says what the machine lacks for a test of what an IOMMU does with ATS,
 * or NULL: an exerciser behind such an IOMMU, and if @strict, bound to its driver and
 * with a DMA domain that is invalidated at once.
 */
const char *atsx_unfit(char pf[BDF_SIZE], bool strict);

/* A buffer and where the test sees it */
struct atsx_mem {
	struct ats_exerciser_buf buf;
	uint64_t *p;
};

int atsx_mem_alloc(int fd, struct atsx_mem *mem, size_t size);
int atsx_mem_map(int fd, struct atsx_mem *mem);
int atsx_mem_unmap(int fd, struct atsx_mem *mem);
void atsx_mem_fill(struct atsx_mem *mem, uint64_t pattern);
size_t atsx_mem_differs(const struct atsx_mem *mem, uint64_t pattern);

/* Returns ATSX_RESULT_*; @dma takes cmd, flags and pattern and gives the rest */
int atsx_dma(int fd, const struct atsx_mem *mem, struct ats_exerciser_dma *dma);

/* One command on a whole buffer */
int dma(int fd, const struct atsx_mem *mem, uint32_t cmd, uint32_t flags,
	uint64_t pattern);
/* Bytes of the buffer's last DMA address that the function has in its ATC */
int cached(int fd, const struct atsx_mem *mem);

/*
 * The registers of a function, past its driver and without an interrupt. On Arm an
 * interrupt is a write that the IOMMU refuses like any other: the driver would wait
 * in vain for a function which has been shut out.
 */
int atsx_regs_map(const char *bdf, volatile uint32_t **regs);
int atsx_regs_dma(volatile uint32_t *regs, struct ats_exerciser_dma *dma);
uint64_t atsx_regs_counter(volatile uint32_t *regs, unsigned int counter);

/* A function under test */
struct atsx_fn {
	unsigned int index;
	char bdf[BDF_SIZE];
	int fd;
	volatile uint32_t *regs;
};

int atsx_fn_open(struct atsx_fn *fn, unsigned int index);
/* The same where @fn->bdf is known */
int atsx_fn_open_named(struct atsx_fn *fn);
/* The function keeps its name */
void atsx_fn_close(struct atsx_fn *fn);
/* @inv is ATSX_INV_*, @reset ATSX_RESET_*, each with its parameter */
int atsx_fn_policy(struct atsx_fn *fn, uint32_t inv, uint32_t inv_param,
		   uint32_t reset, uint32_t reset_param);

/*
 * What the IOMMU grants the function, tried out on a mapped buffer: a subset of
 * @what, or a negative errno. Where Bus Master or ATS Enable are clear they are set
 * for the attempt, for a function need not care about them.
 */
#define GRANT_REQUEST		1	/* a translation request */
#define GRANT_TRANSLATED	2	/* DMA with an address out of the ATC */
#define GRANT_UNTRANSLATED	4	/* DMA with any other address */
#define GRANT_ATS		(GRANT_REQUEST | GRANT_TRANSLATED)
#define GRANT_ALL		(GRANT_ATS | GRANT_UNTRANSLATED)

int atsx_fn_granted(struct atsx_fn *fn, const struct atsx_mem *mem, int what);
/* Polls until nothing of @what is granted any more; the last answer */
int atsx_fn_wait_refused(struct atsx_fn *fn, const struct atsx_mem *mem, int what,
			 int ms);

/* CLOCK_MONOTONIC_RAW, the clock of the durations in struct ats_exerciser_buf */
uint64_t raw_ms(void);
/* The calling thread runs on this CPU only */
int pin_cpu(unsigned int cpu);

/* sysfs; the last argument is a printf format of the path */
__printf(3, 4)
int sysfs_read(char *buf, size_t size, const char *path, ...);
__printf(2, 3)
int sysfs_write(const char *value, const char *path, ...);

#define ATSX_DRIVER	"ats_exerciser"

int pci_bind(const char *bdf, const char *driver);
int pci_unbind(const char *bdf);
/* Binds to @driver only, whatever the IDs say; "" for the usual match */
int pci_driver_override(const char *bdf, const char *driver);
int pci_driver(const char *bdf, char *name, size_t size);
int pci_set_numvfs(const char *pf, unsigned int num);
/* The name of VF @number, from 0 */
int pci_virtfn(const char *pf, unsigned int number, char bdf[BDF_SIZE]);
/* Whether a hotplug driver has the function in its slot of this number */
bool pci_in_slot(const char *bdf, unsigned int slot);
int pci_remove(const char *bdf);
int pci_rescan(void);
/* The bridge above a function */
int pci_port(const char *bdf, char port[BDF_SIZE]);

/* The ATS Extended Capability (PCIe r6.0, 10.5.1); -ENOENT if there is none */
#define PCI_ATS_ENABLE	0x8000
#define PCI_ATS_STU(c)	((c) & 0x1f)

int pci_ats_ctrl(const char *bdf);
int pci_ats_set_ctrl(const char *bdf, uint16_t ctrl);

/* Slot Control of a port (PCIe r6.0, 7.5.3.10); -ENOENT if it has no slot */
#define PCI_SLOT_CTRL_OFF	0x0700	/* power and its indicator are off */

int pci_slot_ctrl(const char *port);

/* The Command register (PCIe r6.0, 7.5.1.1.3), all ones of a function that is away */
#define PCI_COMMAND_MEMORY	0x0002
#define PCI_COMMAND_MASTER	0x0004
#define PCI_COMMAND_ABSENT	0xffff

int pci_command(const char *bdf);
int pci_set_command(const char *bdf, uint16_t command);

/* "DMA", "DMA-FQ", "identity", ...; -ENOENT if the function has no IOMMU */
int iommu_type(const char *bdf, char *type, size_t size);
int iommu_set_type(const char *bdf, const char *type);
/* False for an AMD-Vi without the features on which Linux makes ATS depend */
bool iommu_offers_ats(void);

/* The kernel log from now on */
struct klog {
	int fd;
	char *text;
	size_t len;
};

/* What must not appear in any log */
#define KLOG_WARN \
	"WARNING:|BUG:|Oops|INFO: task|rcu.*stall|nable ATS"
/* What must not appear in the log of a test in which nobody is deaf */
#define KLOG_SPLAT \
	KLOG_WARN "|CMDQ error"
/* The same of a test that has the IOMMU refuse nothing */
#define KLOG_TROUBLE \
	KLOG_SPLAT \
	"|arm-smmu-v3 .*event|DMAR: .*([Ff]ault|[Ee]rror)|AMD-Vi: .*(Event|error)"

int klog_open(struct klog *log, bool from_boot);
void klog_close(struct klog *log);
/* Forgets what the log has said so far */
void klog_mark(struct klog *log);
/* Lines since klog_open() or klog_mark() that fit the extended @regex */
int klog_count(struct klog *log, const char *regex);
/* The same, and waits up to @ms for the first of them */
int klog_wait(struct klog *log, const char *regex, int ms);
/* Prints the first few of them */
void klog_show(struct klog *log, const char *regex);

/* Uevents from now on, a file descriptor */
int uevents_open(void);
/*
 * Waits for the next one of the device @bdf that has the variable @key, and gives its
 * value. -ETIMEDOUT if there is none within @ms.
 */
int uevent_next(int uevents, const char *bdf, const char *key, char *value, size_t size,
		int ms);

/* Makes @function return @err until fail_function_off(), see fail_function.c */
int fail_function(const char *function, int err);
int fail_function_off(void);

/*
 * The host's view, which does not go through the code under test: a QMP monitor
 * on the second serial port. -ENODEV if there is none.
 */
int host_open(void);
int host_get(int host, unsigned int index, const char *name, uint64_t *value);
int host_set(int host, unsigned int index, const char *name, uint64_t value);
/* Pulls device ex@ex out of its slot without notice, or puts it in again */
int host_set_present(int host, unsigned int ex, bool present);
/* device_del, whether it is there still, and device_add below @bus */
int host_unplug(int host, unsigned int ex);
int host_has(int host, unsigned int ex);
int host_plug(int host, unsigned int ex, const char *bus);
/* An error of the link below the PF's port, by QEMU's name for it */
int host_aer(int host, const char *error);

/* Names of the counters on the host, indexed by ATSX_CNT_* */
extern const char *const host_counter[ATSX_CNT_NUM];

#endif /* IOMMU_ATS_LIB_H */
