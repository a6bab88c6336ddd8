// SPDX-License-Identifier: GPL-2.0
/*
 * What ends the quarantine of a function that did not answer an invalidation, and
 * what does not. The rules:
 *
 *   B3  that it is broken is the strongest reason to block it: a reset that fails
 *       changes nothing (B4)
 *   B6  a reset that succeeds ends it if the function answers; if not, it has not
 *       had a translation in between
 *   B7  it can be unbound, bound, removed, and its VFs can be switched off. Nobody
 *       warns, nothing is left behind, and other functions do not notice
 *   B9  the first grant is earned, too: a function that is found again and still
 *       does not answer is fenced at once
 *
 * A case needs the kernel command line iommu.strict=1, an ats-exerciser with two VFs
 * and fail_function.
 */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"
#include "kselftest_harness.h"
#include "expect.h"

#define TIMEOUT		60

#define SIZE		(2 * 4096)

/* How long the core may take to say so */
#define QUARANTINE_MS	5000

/* Makes a reset of the bus fail before it has done anything */
#define BUS_RESET	"pci_bridge_secondary_bus_reset"

/* Lines about invalidations that timed out */
#define FAULTS		"CMDQ error|detected Invalidation Time-out Error"

FIXTURE(quarantine) {
	char pf[BDF_SIZE];
	struct atsx_fn fn;
	struct atsx_fn sibling;
	struct atsx_mem mem;
	struct klog log;
	int host;
};

FIXTURE_VARIANT(quarantine) {
	unsigned int index;
};

FIXTURE_VARIANT_ADD(quarantine, pf) { .index = 0, };
FIXTURE_VARIANT_ADD(quarantine, vf) { .index = 1, };

FIXTURE_SETUP(quarantine)
{
	const char *why;

	why = atsx_unfit(self->pf, true);
	if (why)
		SKIP(return, "%s", why);
	/* A reset of the PF takes its VFs along */
	ASSERT_EQ(0, pci_set_numvfs(self->pf, variant->index ? 2 : 0));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	self->sibling.fd = -1;
	if (variant->index)
		ASSERT_EQ(0, atsx_fn_open(&self->sibling, 2));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(quarantine)
{
	fail_function_off();
	if (variant->index && pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

static uint64_t host_count(struct __test_metadata *_metadata,
			   struct _test_data_quarantine *self, unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, self->fn.index, host_counter[counter], &value));
	return value;
}

/* From the host: the function may have no driver */
static void set_policy(struct __test_metadata *_metadata,
		       struct _test_data_quarantine *self, uint32_t inv, uint32_t reset)
{
	ASSERT_EQ(0, host_set(self->host, self->fn.index, "inv-policy", inv));
	ASSERT_EQ(0, host_set(self->host, self->fn.index, "reset-policy", reset));
}

static int reset_by(struct _test_data_quarantine *self, const char *method)
{
	int ret;

	ret = sysfs_write(method, "/sys/bus/pci/devices/%s/reset_method", self->fn.bdf);
	return ret ?: sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->fn.bdf);
}

/* A buffer that stays mapped, and one whose unmapping the function does not answer */
static void quarantine(struct __test_metadata *_metadata,
		       struct _test_data_quarantine *self)
{
	struct atsx_mem mem;
	bool there;

	expect_works(_metadata, &self->fn);
	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &self->mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
	ASSERT_EQ(GRANT_REQUEST, atsx_fn_granted(&self->fn, &self->mem, GRANT_REQUEST));
	ASSERT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));

	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &mem));
	ASSERT_EQ(ATSX_RESULT_OK, dma(self->fn.fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
	set_policy(_metadata, self, ATSX_INV_DROP, ATSX_RESET_CLEAR);
	klog_mark(&self->log);
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &mem));
	there = klog_wait(&self->log, "no answer to invalidations", QUARANTINE_MS) > 0;
	ksft_print_msg("quarantined: %d\n", there);
	ASSERT_TRUE(there);
	EXPECT_EQ(1, klog_count(&self->log, FAULTS));
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
}

/* Neither translations, nor DMA, nor another domain, nor invalidations */
static void expect_quarantined(struct __test_metadata *_metadata,
			       struct _test_data_quarantine *self)
{
	uint64_t received = host_count(_metadata, self, ATSX_CNT_INV_RECEIVED);
	struct atsx_mem mem;

	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &mem));
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &mem, GRANT_ALL));
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &mem));
	munmap(mem.p, SIZE);
	ASSERT_EQ(0, atsx_ioctl(self->fn.fd, ATS_EXERCISER_BUF_FREE, &mem.buf));
	EXPECT_EQ(received, host_count(_metadata, self, ATSX_CNT_INV_RECEIVED));
	if (self->sibling.fd >= 0)
		expect_works(_metadata, &self->sibling);
}

/* A reset of a function that answers; what was mapped before is there again */
static void expect_recovers(struct __test_metadata *_metadata,
			    struct _test_data_quarantine *self, const char *method)
{
	set_policy(_metadata, self, ATSX_INV_ANSWER, ATSX_RESET_CLEAR);
	klog_mark(&self->log);
	EXPECT_EQ(0, reset_by(self, method));
	EXPECT_EQ(1, klog_count(&self->log, "not blocked any more"));
	EXPECT_EQ(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));
	EXPECT_EQ(GRANT_REQUEST, atsx_fn_granted(&self->fn, &self->mem, GRANT_REQUEST));
	EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &self->mem));
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	expect_works(_metadata, &self->fn);
	EXPECT_EQ(0, klog_count(&self->log, KLOG_SPLAT))
		klog_show(&self->log, KLOG_SPLAT);
}

/* Off the bus and on again; for a VF that is its PF's business */
static void find_again(struct __test_metadata *_metadata,
		       struct _test_data_quarantine *self)
{
	if (!self->fn.index) {
		EXPECT_EQ(0, pci_remove(self->fn.bdf));
		EXPECT_EQ(0, pci_rescan());
		return;
	}
	atsx_fn_close(&self->sibling);
	EXPECT_EQ(0, pci_set_numvfs(self->pf, 0));
	EXPECT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, atsx_fn_open(&self->sibling, 2));
}

/* Once and again: a fault from before the reset does not count after it (B6) */
TEST_F_TIMEOUT(quarantine, recovery, TIMEOUT)
{
	for (int i = 0; i < 3; i++) {
		quarantine(_metadata, self);
		expect_quarantined(_metadata, self);
		expect_recovers(_metadata, self, i ? "flr" : "pm");
	}
}

/* A reset that leaves the function as it was: not one translation in between (B6) */
TEST_F_TIMEOUT(quarantine, still_deaf, TIMEOUT)
{
	uint64_t granted;

	quarantine(_metadata, self);
	granted = host_count(_metadata, self, ATSX_CNT_TR_GRANTED);
	set_policy(_metadata, self, ATSX_INV_DROP, ATSX_RESET_KEEP_ALL);
	klog_mark(&self->log);
	EXPECT_EQ(0, reset_by(self, "flr"));
	EXPECT_EQ(1, klog_count(&self->log, FAULTS));
	EXPECT_EQ(0, klog_count(&self->log, "not blocked any more"));
	expect_quarantined(_metadata, self);
	EXPECT_EQ(granted, host_count(_metadata, self, ATSX_CNT_TR_GRANTED));
	expect_recovers(_metadata, self, "flr");
}

/* A reset that fails, though the function would answer (B3) */
TEST_F_TIMEOUT(quarantine, failed_reset, TIMEOUT)
{
	char port[BDF_SIZE];

	ASSERT_EQ(0, pci_port(self->pf, port));
	quarantine(_metadata, self);
	set_policy(_metadata, self, ATSX_INV_ANSWER, ATSX_RESET_CLEAR);
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	EXPECT_EQ(-EIO, sysfs_write("1", "/sys/bus/pci/devices/%s/reset_subordinate", port));
	ASSERT_EQ(0, fail_function_off());
	expect_quarantined(_metadata, self);
	expect_recovers(_metadata, self, "flr");
}

/* The driver goes and comes (B7) */
TEST_F_TIMEOUT(quarantine, rebind, TIMEOUT)
{
	quarantine(_metadata, self);
	EXPECT_EQ(0, pci_unbind(self->fn.bdf));
	atsx_fn_close(&self->fn);
	EXPECT_EQ(-EBUSY, iommu_set_type(self->fn.bdf, "identity"));
	EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &self->mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
	expect_quarantined(_metadata, self);
	expect_recovers(_metadata, self, "flr");

	EXPECT_EQ(0, pci_unbind(self->fn.bdf));
	EXPECT_EQ(0, iommu_set_type(self->fn.bdf, "identity"));
	EXPECT_EQ(0, iommu_set_type(self->fn.bdf, "DMA"));
	EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
}

/* Unbound in the moment that it is fenced, whatever the core has got to (B7) */
TEST_F_TIMEOUT(quarantine, unbind_at_once, TIMEOUT)
{
	for (int i = 0; i < 10; i++) {
		struct atsx_mem mem;

		expect_works(_metadata, &self->fn);
		ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &mem, SIZE));
		ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &mem));
		ASSERT_EQ(ATSX_RESULT_OK, dma(self->fn.fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
		set_policy(_metadata, self, ATSX_INV_DROP, ATSX_RESET_CLEAR);
		klog_mark(&self->log);
		/* The driver unmaps what is mapped */
		EXPECT_EQ(0, pci_unbind(self->fn.bdf));
		if (i % 2) {
			set_policy(_metadata, self, ATSX_INV_ANSWER, ATSX_RESET_CLEAR);
			find_again(_metadata, self);
		} else {
			ASSERT_LT(0, klog_wait(&self->log, "no answer to invalidations",
					       QUARANTINE_MS));
			set_policy(_metadata, self, ATSX_INV_ANSWER, ATSX_RESET_CLEAR);
			EXPECT_EQ(0, reset_by(self, "flr"));
			EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
		}
		EXPECT_EQ(1, klog_count(&self->log, FAULTS));
		atsx_fn_close(&self->fn);
		ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	}
	expect_works(_metadata, &self->fn);
}

/*
 * Removed, and found again: it answers now, or still does not, which is noticed
 * before it has a translation (B7, B9).
 */
TEST_F_TIMEOUT(quarantine, remove, TIMEOUT)
{
	for (int deaf = 0; deaf < 2; deaf++) {
		quarantine(_metadata, self);
		set_policy(_metadata, self, deaf ? ATSX_INV_DROP : ATSX_INV_ANSWER,
			   ATSX_RESET_KEEP_ALL);
		klog_mark(&self->log);
		atsx_fn_close(&self->fn);
		find_again(_metadata, self);
		if (deaf)
			EXPECT_LT(0, klog_wait(&self->log, "no answer to invalidations",
					       QUARANTINE_MS));
		EXPECT_EQ(deaf, klog_count(&self->log, FAULTS));
		ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
		if (!deaf) {
			expect_works(_metadata, &self->fn);
			continue;
		}
		ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &self->mem, SIZE));
		ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
		expect_quarantined(_metadata, self);
		expect_recovers(_metadata, self, "flr");
	}
}

/*
 * The VFs go while one of them is quarantined, and the PF has noticed nothing; or while
 * the PF is, and they have noticed nothing (B7)
 */
TEST_F_TIMEOUT(quarantine, sriov, TIMEOUT)
{
	struct atsx_fn pf;

	if (!variant->index) {
		ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
		ASSERT_EQ(0, atsx_fn_open(&self->sibling, 2));
		quarantine(_metadata, self);
		expect_quarantined(_metadata, self);
		atsx_fn_close(&self->sibling);
		self->sibling.fd = -1;
		EXPECT_EQ(0, pci_set_numvfs(self->pf, 0));
		expect_quarantined(_metadata, self);
		expect_recovers(_metadata, self, "flr");
		return;
	}
	quarantine(_metadata, self);
	atsx_fn_close(&self->fn);
	atsx_fn_close(&self->sibling);
	EXPECT_EQ(0, pci_set_numvfs(self->pf, 0));
	ASSERT_EQ(0, atsx_fn_open(&pf, 0));
	expect_works(_metadata, &pf);

	/* The model's VF keeps its ATC and policy: VF Enable is no reset to it */
	set_policy(_metadata, self, ATSX_INV_ANSWER, ATSX_RESET_CLEAR);
	EXPECT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, 1));
	expect_works(_metadata, &self->fn);
	EXPECT_EQ(0, klog_count(&self->log, "WARNING:|BUG:"))
		klog_show(&self->log, "WARNING:|BUG:");
}

TEST_HARNESS_MAIN
