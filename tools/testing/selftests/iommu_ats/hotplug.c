// SPDX-License-Identifier: GPL-2.0
/*
 * A device is pulled out of its slot, whatever state it is in, and put in again. The
 * rules:
 *
 *   B7  it can be removed in every state. Nobody warns, nothing is left behind, and
 *       other functions do not notice
 *   C3  reports, resets and the removal may meet
 *   E2  nobody waits for a device that is gone longer than for one that is deaf, and a
 *       removal in the middle of an invalidation is no exception
 *
 * A case needs the kernel command line iommu.strict=1, an ats-exerciser with two VFs in
 * a slot that pciehp serves, another one beside it, fail_function, and sockets for
 * uevents.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib.h"
#include "kselftest_harness.h"
#include "expect.h"

#define TIMEOUT		120

#define SIZE		(2 * 4096)
#define BUFS		3

/* How long the core may take to say that a device does not answer */
#define QUARANTINE_MS	5000
/* From the moment in which a device is pulled, or put in, to that in which all is done */
#define GONE_MS		10000
#define BACK_MS		20000
/* How long a reset is under way when the device is pulled, at the latest */
#define RESET_MS	20000

/* Makes a reset fail before it has done anything */
#define BUS_RESET	"pci_bridge_secondary_bus_reset"

/* Lines about invalidations that timed out */
#define FAULTS		"CMDQ error|detected Invalidation Time-out Error"

FIXTURE(hotplug) {
	char pf[BDF_SIZE];
	char port[BDF_SIZE];
	struct atsx_fn fn;
	struct atsx_fn other;
	struct atsx_mem mem[BUFS];
	struct klog log;
	int host;
	int uevents;
	/* How often hardware has to find that a function does not answer */
	unsigned int trials;
};

FIXTURE_VARIANT(hotplug) {
	unsigned int index;
};

FIXTURE_VARIANT_ADD(hotplug, pf) { .index = 0, };
FIXTURE_VARIANT_ADD(hotplug, vf) { .index = 1, };

FIXTURE_SETUP(hotplug)
{
	char cmdline[2048];
	const char *why;

	why = atsx_unfit(self->pf, true);
	if (why)
		SKIP(return, "%s", why);
	if (!pci_in_slot(self->pf, 1))
		SKIP(return, "%s is not in slot 1 of pciehp", self->pf);
	ASSERT_EQ(0, pci_port(self->pf, self->port));
	ASSERT_EQ(0, sysfs_read(cmdline, sizeof(cmdline), "/proc/cmdline"));
	self->trials = strstr(cmdline, "vm_machine=vtd-nosid") ? 2 : 1;
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	ASSERT_EQ(0, atsx_fn_open(&self->other, ATSX_EX(1)));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	self->uevents = uevents_open();
	ASSERT_LE(0, self->uevents);
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(hotplug)
{
	fail_function_off();
	pci_set_numvfs(self->pf, 0);
}

/* Buffers that the driver unmaps when the function is removed */
static void map(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	for (int i = 0; i < BUFS; i++) {
		ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &self->mem[i], SIZE));
		ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem[i]));
		ASSERT_EQ(ATSX_RESULT_OK,
			  dma(self->fn.fd, &self->mem[i], ATSX_CMD_TRANSLATE, 0, 0));
	}
}

static void set_policy(struct __test_metadata *_metadata, struct _test_data_hotplug *self,
		       const char *policy, uint32_t value)
{
	ASSERT_EQ(0, host_set(self->host, self->fn.index, policy, value));
}

/* Until the counter has passed @least: nothing else tells that the function sees it */
static void wait_count(struct __test_metadata *_metadata, struct _test_data_hotplug *self,
		       unsigned int counter, uint64_t least)
{
	uint64_t end = raw_ms() + QUARANTINE_MS;
	uint64_t value = 0;

	do {
		ASSERT_EQ(0, host_get(self->host, self->fn.index, host_counter[counter],
				      &value));
	} while (value < least && raw_ms() < end);
	ASSERT_LE(least, value);
}

static void wait_uevent(struct __test_metadata *_metadata, struct _test_data_hotplug *self,
			const char *action, uint64_t end)
{
	char value[32] = "";

	while (strcmp(value, action)) {
		uint64_t now = raw_ms();

		ASSERT_LT(now, end)
			TH_LOG("no '%s' of %s", action, self->pf);
		ASSERT_EQ(0, uevent_next(self->uevents, self->pf, "ACTION", value,
					 sizeof(value), end - now))
			TH_LOG("no '%s' of %s", action, self->pf);
	}
}

static void wait_gone(struct __test_metadata *_metadata, struct _test_data_hotplug *self,
		      uint64_t end)
{
	int ctrl;

	wait_uevent(_metadata, self, "remove", end);
	/* Then pciehp switches the slot off, of which nobody is told */
	do {
		ASSERT_LT(raw_ms(), end);
		ctrl = pci_slot_ctrl(self->port);
		ASSERT_LE(0, ctrl);
	} while ((ctrl & PCI_SLOT_CTRL_OFF) != PCI_SLOT_CTRL_OFF);
}

static void pull(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	ASSERT_EQ(0, host_set_present(self->host, 0, false));
}

/* All of it is removed, in time, and the other device does not notice */
static void expect_gone(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	uint64_t start = raw_ms();

	wait_gone(_metadata, self, start + GONE_MS);
	ksft_print_msg("gone after %llu ms\n", (unsigned long long)(raw_ms() - start));
	atsx_fn_close(&self->fn);
	for (int i = 0; i < BUFS; i++)
		if (self->mem[i].p)
			munmap(self->mem[i].p, SIZE);
	memset(self->mem, 0, sizeof(self->mem));
	EXPECT_GE(1, klog_count(&self->log, FAULTS))
		klog_show(&self->log, FAULTS);
	expect_works(_metadata, &self->other);
}

/* Nothing that was known against the device is held against what is in the slot now */
static void expect_back(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	wait_uevent(_metadata, self, "bind", raw_ms() + BACK_MS);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, self->fn.index));
	expect_blocked(_metadata, self->fn.bdf, "none");
	expect_works(_metadata, &self->fn);
	expect_works(_metadata, &self->other);
	EXPECT_EQ(0, klog_count(&self->log, KLOG_WARN))
		klog_show(&self->log, KLOG_WARN);
	klog_mark(&self->log);
}

static void put_in(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	ASSERT_EQ(0, host_set_present(self->host, 0, true));
	expect_back(_metadata, self);
}

static void pull_and_put_in(struct __test_metadata *_metadata,
			    struct _test_data_hotplug *self)
{
	pull(_metadata, self);
	expect_gone(_metadata, self);
	put_in(_metadata, self);
}

/* Does not answer one invalidation, and is fenced for it */
static void fence(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	map(_metadata, self);
	set_policy(_metadata, self, "inv-policy", ATSX_INV_DROP);
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &self->mem[0]));
}

static void quarantine(struct __test_metadata *_metadata, struct _test_data_hotplug *self)
{
	bool there;

	fence(_metadata, self);
	there = klog_wait(&self->log, "no answer to invalidations", QUARANTINE_MS) > 0;
	ksft_print_msg("quarantined: %d\n", there);
	ASSERT_TRUE(there);
}

/* Twice, as a device that was pulled once must not be treated otherwise */
TEST_F_TIMEOUT(hotplug, healthy, TIMEOUT)
{
	for (int i = 0; i < 2; i++) {
		map(_metadata, self);
		pull_and_put_in(_metadata, self);
	}
}

/* Would not answer the invalidations of its removal either */
TEST_F_TIMEOUT(hotplug, deaf, TIMEOUT)
{
	map(_metadata, self);
	set_policy(_metadata, self, "inv-policy", ATSX_INV_DROP);
	pull_and_put_in(_metadata, self);
}

struct unmap {
	struct _test_data_hotplug *self;
	int ret;
	uint64_t ms;
};

static void *run_unmap(void *arg)
{
	struct unmap *u = arg;
	uint64_t start;

	/* 7.2 with VT-d spins there, and the others have to go on */
	pin_cpu(1);
	start = raw_ms();
	u->ret = atsx_mem_unmap(u->self->fn.fd, &u->self->mem[0]);
	u->ms = raw_ms() - start;
	return NULL;
}

/* While somebody waits for its answer; where hardware names nobody, in the last try */
TEST_F_TIMEOUT(hotplug, invalidating, TIMEOUT)
{
	struct unmap u = { .self = self };
	pthread_t thread;
	uint64_t dropped;

	map(_metadata, self);
	set_policy(_metadata, self, "inv-policy", ATSX_INV_DROP);
	ASSERT_EQ(0, host_get(self->host, self->fn.index, "inv-dropped", &dropped));
	ASSERT_EQ(0, pin_cpu(0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_unmap, &u));
	wait_count(_metadata, self, ATSX_CNT_INV_DROPPED, dropped + self->trials);
	pull(_metadata, self);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ksft_print_msg("unmap: %d after %llu ms\n", u.ret, (unsigned long long)u.ms);
	EXPECT_EQ(0, u.ret);
	EXPECT_GT(GONE_MS, u.ms);
	expect_gone(_metadata, self);
	put_in(_metadata, self);
}

/* As soon as it is fenced, whatever the core has got to */
TEST_F_TIMEOUT(hotplug, fenced, TIMEOUT)
{
	fence(_metadata, self);
	pull_and_put_in(_metadata, self);
}

TEST_F_TIMEOUT(hotplug, quarantined, TIMEOUT)
{
	quarantine(_metadata, self);
	pull_and_put_in(_metadata, self);
}

struct reset {
	const char *bdf;
	int ret;
	uint64_t ms;
};

static void *run_reset(void *arg)
{
	struct reset *r = arg;
	uint64_t start = raw_ms();

	r->ret = sysfs_write("1", "/sys/bus/pci/devices/%s/reset", r->bdf);
	r->ms = raw_ms() - start;
	return NULL;
}

/* While the kernel waits for it to come back from a reset, quarantined or not */
TEST_F_TIMEOUT(hotplug, resetting, TIMEOUT)
{
	struct reset r = { .bdf = self->fn.bdf };
	pthread_t thread;
	uint64_t resets;

	for (int i = 0; i < 2; i++) {
		if (i)
			quarantine(_metadata, self);
		else
			map(_metadata, self);
		set_policy(_metadata, self, "reset-policy", ATSX_RESET_LATE);
		set_policy(_metadata, self, "reset-param", 2 * RESET_MS);
		ASSERT_EQ(0, sysfs_write("flr", "/sys/bus/pci/devices/%s/reset_method",
					 self->fn.bdf));
		ASSERT_EQ(0, host_get(self->host, self->fn.index, "resets", &resets));
		ASSERT_EQ(0, pthread_create(&thread, NULL, run_reset, &r));
		wait_count(_metadata, self, ATSX_CNT_RESETS, resets + 1);
		pull(_metadata, self);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ksft_print_msg("reset: %d after %llu ms\n", r.ret, (unsigned long long)r.ms);
		EXPECT_GT(0, r.ret);
		EXPECT_GT(RESET_MS, r.ms);
		expect_gone(_metadata, self);
		put_in(_metadata, self);
	}
}

TEST_F_TIMEOUT(hotplug, reset_failed, TIMEOUT)
{
	map(_metadata, self);
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	EXPECT_EQ(-EIO, sysfs_write("1", "/sys/bus/pci/devices/%s/reset_subordinate",
				    self->port));
	ASSERT_EQ(0, fail_function_off());
	/* VF Enable is as it was: the VFs have not been reset */
	expect_blocked(_metadata, self->fn.bdf, variant->index ? "none" : "reset-failed");
	pull_and_put_in(_metadata, self);
}

/* With notice, by the attention button: the driver goes first, healthy or not */
TEST_F_TIMEOUT(hotplug, unplugged, TIMEOUT)
{
	uint64_t end;

	for (int i = 0; i < 2; i++) {
		if (i)
			quarantine(_metadata, self);
		else
			map(_metadata, self);
		ASSERT_EQ(0, host_unplug(self->host, 0));
		expect_gone(_metadata, self);
		/* QEMU's device goes with that */
		end = raw_ms() + GONE_MS;
		while (host_has(self->host, 0) > 0)
			ASSERT_LT(raw_ms(), end);
		ASSERT_EQ(0, host_plug(self->host, 0, "rp0"));
		expect_back(_metadata, self);
	}
}

TEST_HARNESS_MAIN
