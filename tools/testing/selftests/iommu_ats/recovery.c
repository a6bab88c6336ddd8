// SPDX-License-Identifier: GPL-2.0
/*
 * Who hears of a function that did not answer an invalidation, and which resets bring
 * it back. The rules:
 *
 *   B8  resets of a bus, VFIO's hot reset, the recovery from AER, and that of a VF's PF
 *       count as well as those of the function; one that fails keeps it blocked
 *   C4  its driver hears of it by its error handlers, and has it reset if it wants; user
 *       space hears of it by a uevent and a trace event; a user of VFIO by his eventfd
 *   C5  sysfs says why it is blocked
 *
 * A case needs the kernel command line iommu.strict=1, an ats-exerciser with two VFs
 * below a port of its own, fail_function, sockets for uevents, and tracefs.
 */

#include <linux/vfio.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"
#include "expect.h"

#define TIMEOUT		60

#define SIZE		(2 * 4096)

/* How long the core may take, and a driver */
#define QUARANTINE_MS	5000
#define WAIT_MS		10000

/* How long it takes to wake a function up, at the most */
#define WAKEUP_MS	1000

/* What makes a reset fail before it has done anything */
#define BUS_RESET	"pci_bridge_secondary_bus_reset"
#define FUNCTION_RESET	"pcie_reset_flr"

/* What the exerciser's driver wants after an error, its module parameter "recover" */
#define WANTS_NOTHING	"0"
#define WANTS_RESET	"1"
#define GIVES_UP	"2"

#define BEGIN		"BEGIN_RECOVERY"
#define SUCCESS		"SUCCESSFUL_RECOVERY"
#define FAILURE		"FAILED_RECOVERY"

#define TRACING		"/sys/kernel/tracing/"

FIXTURE(recovery) {
	char pf[BDF_SIZE];
	char port[BDF_SIZE];
	struct atsx_fn fn;
	struct atsx_mem mem;
	struct klog log;
	int host;
	int uevents;
	bool vfio;
	struct vfio_space space;
};

FIXTURE_VARIANT(recovery) {
	unsigned int index;
};

FIXTURE_VARIANT_ADD(recovery, pf) { .index = 0, };
FIXTURE_VARIANT_ADD(recovery, vf) { .index = 1, };

/* The next ERROR_EVENT of the function */
static bool uevent_is(struct _test_data_recovery *self, const char *event)
{
	char value[64];
	int ret;

	ret = uevent_next(self->uevents, self->fn.bdf, "ERROR_EVENT", value,
			  sizeof(value), WAIT_MS);
	ksft_print_msg("uevent of %s: %s\n", self->fn.bdf, ret ? strerror(-ret) : value);
	return !ret && !strcmp(value, event);
}

static int recover(const char *what)
{
	return sysfs_write(what, "/sys/module/" ATSX_DRIVER "/parameters/recover");
}

FIXTURE_SETUP(recovery)
{
	const char *why;

	why = atsx_unfit(self->pf, true);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, pci_port(self->pf, self->port));
	if (variant->index)
		ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	self->uevents = uevents_open();
	ASSERT_LE(0, self->uevents);
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(recovery)
{
	fail_function_off();
	if (self->vfio) {
		vfio_close(&self->fn);
		vfio_space_close(&self->space);
	}
	if (variant->index && pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

static void set_policy(struct __test_metadata *_metadata,
		       struct _test_data_recovery *self, uint32_t inv)
{
	ASSERT_EQ(0, host_set(self->host, self->fn.index, "inv-policy", inv));
}

/*
 * The function does not answer one invalidation, and will answer the next: that it is
 * heard of is awaited, not what the driver makes of it. A buffer stays mapped.
 */
static void fault(struct __test_metadata *_metadata, struct _test_data_recovery *self)
{
	struct atsx_mem mem;
	bool there;

	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &self->mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
	ASSERT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL) |
			     atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &mem));
	ASSERT_EQ(ATSX_RESULT_OK, dma(self->fn.fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
	ASSERT_EQ(0, host_set(self->host, self->fn.index, "inv-param", 1));
	set_policy(_metadata, self, ATSX_INV_DROP_N);
	klog_mark(&self->log);
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &mem));
	there = klog_wait(&self->log, "no answer to invalidations", QUARANTINE_MS) > 0;
	ksft_print_msg("quarantined: %d\n", there);
	ASSERT_TRUE(there);
}

/* The buffer that was mapped before is there again, and nothing of it in the ATC */
static void expect_back(struct __test_metadata *_metadata,
			struct _test_data_recovery *self)
{
	expect_blocked(_metadata, self->fn.bdf, "none");
	EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL) |
			     atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &self->mem));
	expect_works(_metadata, &self->fn);
	EXPECT_EQ(0, klog_count(&self->log, "WARNING:|BUG:"))
		klog_show(&self->log, "WARNING:|BUG:");
}

static int reset_function(const char *bdf)
{
	return sysfs_write("flr", "/sys/bus/pci/devices/%s/reset_method", bdf) ?:
	       sysfs_write("1", "/sys/bus/pci/devices/%s/reset", bdf);
}

static int reset_bus(struct _test_data_recovery *self)
{
	return sysfs_write("1", "/sys/bus/pci/devices/%s/reset_subordinate", self->port);
}

/* The driver has it reset, and everybody hears of it in order (C4, C5) */
TEST_F_TIMEOUT(recovery, driver, TIMEOUT)
{
	char trace[65536], want[64];
	size_t len = 0;
	const char *p;
	FILE *file;

	if (mount("tracefs", TRACING, "tracefs", 0, NULL) && errno != EBUSY)
		SKIP(return, "no tracefs");
	if (sysfs_write("1", TRACING "events/iommu/device_blocked/enable"))
		ksft_print_msg("no trace event iommu:device_blocked\n");
	ASSERT_EQ(0, recover(WANTS_RESET));
	fault(_metadata, self);
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_TRUE(uevent_is(self, SUCCESS));
	EXPECT_EQ(1, klog_count(&self->log, "error_detected: frozen"));
	EXPECT_EQ(1, klog_count(&self->log, "slot_reset"));
	EXPECT_EQ(1, klog_count(&self->log, ": resume"));
	EXPECT_EQ(1, klog_count(&self->log, "not blocked any more"));
	expect_back(_metadata, self);

	file = fopen(TRACING "trace", "r");
	ASSERT_NE(NULL, file);
	len = fread(trace, 1, sizeof(trace) - 1, file);
	fclose(file);
	trace[len] = '\0';
	snprintf(want, sizeof(want), "device_blocked: IOMMU: device=%s reason=broken",
		 self->fn.bdf);
	p = strstr(trace, want);
	EXPECT_NE(NULL, p);
	snprintf(want, sizeof(want), "device_blocked: IOMMU: device=%s reason=none",
		 self->fn.bdf);
	EXPECT_NE(NULL, p ? strstr(p, want) : p);
}

/* The driver leaves it to others; until they act it stays as it is (C4) */
TEST_F_TIMEOUT(recovery, left_alone, TIMEOUT)
{
	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	expect_blocked(_metadata, self->fn.bdf, "broken");
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	EXPECT_EQ(0, reset_function(self->fn.bdf));
	EXPECT_EQ(0, klog_count(&self->log, "slot_reset|: resume"));
	expect_back(_metadata, self);
}

/* The driver gives it up, but another one may want it (C4) */
TEST_F_TIMEOUT(recovery, given_up, TIMEOUT)
{
	ASSERT_EQ(0, recover(GIVES_UP));
	fault(_metadata, self);
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_TRUE(uevent_is(self, FAILURE));
	EXPECT_EQ(1, klog_count(&self->log, "error_detected: perm_failure"));
	expect_blocked(_metadata, self->fn.bdf, "broken");
	EXPECT_EQ(0, reset_function(self->fn.bdf));
	expect_back(_metadata, self);
}

/* The reset that the driver wants fails, or does not help; the next one does (B4, B6) */
TEST_F_TIMEOUT(recovery, reset_fails, TIMEOUT)
{
	ASSERT_EQ(0, recover(WANTS_RESET));
	ASSERT_EQ(0, sysfs_write("flr", "/sys/bus/pci/devices/%s/reset_method",
				 self->fn.bdf));
	ASSERT_EQ(0, fail_function(FUNCTION_RESET, -EIO));
	fault(_metadata, self);
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_TRUE(uevent_is(self, FAILURE));
	EXPECT_EQ(1, klog_count(&self->log, "error_detected: perm_failure"));
	EXPECT_EQ(0, klog_count(&self->log, "slot_reset|: resume"));
	expect_blocked(_metadata, self->fn.bdf, "broken");
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	ASSERT_EQ(0, fail_function_off());
	EXPECT_EQ(0, reset_function(self->fn.bdf));
	expect_back(_metadata, self);
}

/* Unbound while it is being recovered, or just before, or after (C4) */
TEST_F_TIMEOUT(recovery, unbind, TIMEOUT)
{
	char state[32];

	ASSERT_EQ(0, recover(WANTS_RESET));
	for (int i = 0; i < 5; i++) {
		fault(_metadata, self);
		EXPECT_EQ(0, pci_unbind(self->fn.bdf));
		atsx_fn_close(&self->fn);
		EXPECT_EQ(0, sysfs_read(state, sizeof(state),
					"/sys/bus/pci/devices/%s/iommu_blocked", self->fn.bdf));
		ksft_print_msg("unbound: %s\n", state);
		/* Nobody is there who wants a reset */
		EXPECT_EQ(0, strcmp(state, "none") ? reset_function(self->fn.bdf) : 0);
		EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
		ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
		expect_works(_metadata, &self->fn);
	}
	EXPECT_EQ(0, klog_count(&self->log, "WARNING:|BUG:"))
		klog_show(&self->log, "WARNING:|BUG:");
}

/* A driver that is bound to it when it is in quarantine hears of it, too (C4) */
TEST_F_TIMEOUT(recovery, bind, TIMEOUT)
{
	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_EQ(0, pci_unbind(self->fn.bdf));
	atsx_fn_close(&self->fn);
	expect_blocked(_metadata, self->fn.bdf, "broken");
	ASSERT_EQ(0, recover(WANTS_RESET));
	EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_TRUE(uevent_is(self, SUCCESS));
	expect_blocked(_metadata, self->fn.bdf, "none");
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	expect_works(_metadata, &self->fn);
	EXPECT_EQ(0, klog_count(&self->log, "WARNING:|BUG:"))
		klog_show(&self->log, "WARNING:|BUG:");
}

/* A reset of the whole bus: it fails, then succeeds (B8) */
TEST_F_TIMEOUT(recovery, bus, TIMEOUT)
{
	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	EXPECT_EQ(-EIO, reset_bus(self));
	ASSERT_EQ(0, fail_function_off());
	expect_blocked(_metadata, self->fn.bdf, "broken");
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	EXPECT_EQ(0, reset_bus(self));
	expect_back(_metadata, self);
}

/* A healthy function whose bus could not be reset is blocked until it could (B8) */
TEST_F_TIMEOUT(recovery, bus_fails, TIMEOUT)
{
	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &self->mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	EXPECT_EQ(-EIO, reset_bus(self));
	ASSERT_EQ(0, fail_function_off());
	/* VF Enable is as it was: the VFs have not been reset */
	expect_blocked(_metadata, self->fn.bdf, variant->index ? "none" : "reset-failed");
	if (!variant->index) {
		/* Its driver has not asked for it, and hears of it (C4) */
		EXPECT_TRUE(uevent_is(self, BEGIN));
		EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	}
	EXPECT_EQ(0, reset_bus(self));
	expect_back(_metadata, self);
}

/* The reset of a PF is one of its VFs (B8) */
TEST_F_TIMEOUT(recovery, pf_reset, TIMEOUT)
{
	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	EXPECT_EQ(0, reset_function(self->pf));
	expect_blocked(_metadata, self->fn.bdf, "none");
	if (!variant->index) {
		expect_back(_metadata, self);
		return;
	}
	/* What else it has lost is for the VF's driver to set up */
	EXPECT_EQ(0, pci_unbind(self->fn.bdf));
	atsx_fn_close(&self->fn);
	EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	expect_works(_metadata, &self->fn);
}

/* An uncorrectable error of the PF: the recovery from it counts, VFs included (B8) */
TEST_F_TIMEOUT(recovery, aer, TIMEOUT)
{
	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	expect_blocked(_metadata, self->fn.bdf, "broken");
	ASSERT_EQ(0, recover(WANTS_RESET));
	klog_mark(&self->log);
	ASSERT_EQ(0, host_aer(self->host, "DLP"));
	EXPECT_LT(0, klog_wait(&self->log, "AER: device recovery (successful|failed)", WAIT_MS));
	EXPECT_EQ(1, klog_count(&self->log, "AER: device recovery successful"));
	expect_back(_metadata, self);
}

/*
 * An error for which nothing is reset leaves it blocked: its driver, which was told before,
 * is not told that all is well (C4)
 */
TEST_F_TIMEOUT(recovery, aer_nonfatal, TIMEOUT)
{
	char resume[64];

	snprintf(resume, sizeof(resume), "%s: (slot_reset|resume)", self->fn.bdf);
	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_TRUE(uevent_is(self, BEGIN));
	EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	klog_mark(&self->log);
	ASSERT_EQ(0, host_aer(self->host, "COMP_TIME"));
	EXPECT_LT(0, klog_wait(&self->log, "AER: device recovery (successful|failed)", WAIT_MS));
	EXPECT_EQ(1, klog_count(&self->log, "AER: device recovery successful"));
	EXPECT_LT(0, klog_count(&self->log, "error_detected: normal"));
	EXPECT_EQ(0, klog_count(&self->log, resume));
	EXPECT_EQ(0, klog_count(&self->log, "error_detected: frozen"));
	expect_blocked(_metadata, self->fn.bdf, "broken");
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	EXPECT_EQ(0, reset_function(self->fn.bdf));
	expect_back(_metadata, self);
}

/*
 * If the PF does not answer after the reset of the link all is lost. A VF is lost alone:
 * its user, who may be a guest, does not decide about the PF (B8, C4)
 */
TEST_F_TIMEOUT(recovery, aer_deaf, TIMEOUT)
{
	char pattern[64];

	ASSERT_EQ(0, recover(WANTS_NOTHING));
	fault(_metadata, self);
	EXPECT_EQ(1, klog_wait(&self->log, "error_detected: frozen", WAIT_MS));
	set_policy(_metadata, self, ATSX_INV_DROP);
	ASSERT_EQ(0, host_set(self->host, self->fn.index, "reset-policy", ATSX_RESET_KEEP_POLICY));
	ASSERT_EQ(0, recover(WANTS_RESET));
	klog_mark(&self->log);
	ASSERT_EQ(0, host_aer(self->host, "DLP"));
	EXPECT_LT(0, klog_wait(&self->log, "AER: device recovery (successful|failed)", WAIT_MS));
	snprintf(pattern, sizeof(pattern), "%s: error_detected: perm_failure", self->fn.bdf);
	EXPECT_EQ(1, klog_count(&self->log, pattern));
	EXPECT_EQ(1, klog_count(&self->log, "perm_failure"));
	snprintf(pattern, sizeof(pattern), "%s: (slot_reset|resume)", self->fn.bdf);
	EXPECT_EQ(0, klog_count(&self->log, pattern));
	expect_blocked(_metadata, self->fn.bdf, "broken");
	EXPECT_EQ(variant->index, klog_count(&self->log, "AER: device recovery successful"));
	if (!variant->index)
		return;
	snprintf(pattern, sizeof(pattern), "%s: resume", self->pf);
	EXPECT_EQ(1, klog_count(&self->log, pattern));

	set_policy(_metadata, self, ATSX_INV_ANSWER);
	EXPECT_EQ(0, reset_function(self->fn.bdf));
	expect_blocked(_metadata, self->fn.bdf, "none");
	/* What else it has lost is for a driver to set up */
	EXPECT_EQ(0, pci_unbind(self->fn.bdf));
	atsx_fn_close(&self->fn);
	EXPECT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	ASSERT_EQ(0, atsx_fn_open(&self->fn, variant->index));
	expect_works(_metadata, &self->fn);
	EXPECT_EQ(0, klog_count(&self->log, "WARNING:|BUG:"))
		klog_show(&self->log, "WARNING:|BUG:");
}

static void use_vfio(struct __test_metadata *_metadata,
		     struct _test_data_recovery *self, unsigned int index)
{
	atsx_fn_close(&self->fn);
	ASSERT_EQ(0, vfio_space_open(&self->space));
	self->vfio = true;
	ASSERT_EQ(0, vfio_open(&self->fn, index, &self->space));
	ASSERT_EQ(0, vfio_attach(&self->fn, &self->space));
}

/* Maps two buffers, and has the function translate the first */
static void vfio_map_both(struct __test_metadata *_metadata,
			  struct _test_data_recovery *self, struct atsx_mem mem[2])
{
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, vfio_mem_alloc(&mem[i], SIZE));
		mem[i].buf.iova = 0x10000000 + i * SIZE;
		ASSERT_EQ(0, vfio_mem_map(&self->space, &mem[i]));
	}
	ASSERT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &mem[0], GRANT_ALL) |
			     atsx_fn_granted(&self->fn, &mem[0], GRANT_ALL));
}

/* A user of VFIO hears of it and resets it, or the whole bus (C4, B8) */
TEST_F_TIMEOUT(recovery, vfio, TIMEOUT)
{
	struct vfio_pci_hot_reset hot_reset = { .argsz = sizeof(hot_reset) };
	struct pollfd errors = { .events = POLLIN };
	struct atsx_mem mem[2];
	uint64_t count;

	use_vfio(_metadata, self, variant->index);
	errors.fd = vfio_errors(&self->fn);
	ASSERT_LE(0, errors.fd);

	for (int hot = 0; hot < 2; hot++) {
		bool there;
		int ret;

		vfio_map_both(_metadata, self, mem);
		set_policy(_metadata, self, ATSX_INV_DROP);
		ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem[0]));
		there = poll(&errors, 1, WAIT_MS) == 1;
		ksft_print_msg("quarantined: %d\n", there);
		ASSERT_TRUE(there);
		ASSERT_EQ((ssize_t)sizeof(count), read(errors.fd, &count, sizeof(count)));
		EXPECT_EQ(0, atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL));
		expect_blocked(_metadata, self->fn.bdf, "broken");

		set_policy(_metadata, self, ATSX_INV_ANSWER);
		ret = hot && !variant->index ?
		      ioctl(self->fn.fd, VFIO_DEVICE_PCI_HOT_RESET, &hot_reset) :
		      vfio_reset(&self->fn);
		EXPECT_EQ(0, ret);
		expect_blocked(_metadata, self->fn.bdf, "none");
		ASSERT_EQ(0, vfio_enable(&self->fn));
		EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL) |
				     atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL));
		ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem[1]));
		EXPECT_EQ(0, atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL));
	}
}

/* Runtime PM tells nobody when it is through */
static bool sleeps(struct _test_data_recovery *self, const char *in)
{
	uint64_t end = raw_ms() + WAIT_MS;
	char state[32] = "";

	while (raw_ms() < end && strcmp(state, in)) {
		if (sysfs_read(state, sizeof(state), "/sys/bus/pci/devices/%s/power_state",
			       self->fn.bdf))
			break;
		sched_yield();
	}
	return !strcmp(state, in);
}

/*
 * Asleep it need not answer, which is no fault: it is fenced until it is awake, and then
 * it does. One that does not answer then is as broken as any other. (B8, C4)
 */
static void asleep(struct __test_metadata *_metadata, struct _test_data_recovery *self,
		   unsigned int index, const char *in)
{
	struct pollfd wakeup = { .events = POLLIN, .fd = eventfd(0, EFD_CLOEXEC) };
	struct pollfd errors = { .events = POLLIN };
	struct atsx_mem mem[2];
	uint64_t count;
	char value[64];

	use_vfio(_metadata, self, index);
	errors.fd = vfio_errors(&self->fn);
	ASSERT_LE(0, errors.fd);

	for (int deaf = 1; deaf >= 0; deaf--) {
		vfio_map_both(_metadata, self, mem);
		ASSERT_EQ(0, vfio_low_power_enter(&self->fn, wakeup.fd));
		ASSERT_TRUE(sleeps(self, in));
		set_policy(_metadata, self, ATSX_INV_DROP);
		ASSERT_EQ(0, host_set(self->host, self->fn.index, "reset-policy",
				      deaf ? ATSX_RESET_KEEP_POLICY : ATSX_RESET_CLEAR));
		klog_mark(&self->log);
		ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem[0]));

		expect_blocked(_metadata, self->fn.bdf, "broken");
		EXPECT_EQ(0, klog_count(&self->log, "not blocked any more"));
		/* Nobody wakes it up, now or later */
		EXPECT_EQ(0, poll(&wakeup, 1, WAKEUP_MS));
		EXPECT_TRUE(sleeps(self, in));
		ASSERT_EQ(0, vfio_low_power_exit(&self->fn));
		/* Which may tell of itself */
		if (poll(&wakeup, 1, 0))
			ASSERT_EQ((ssize_t)sizeof(count), read(wakeup.fd, &count, sizeof(count)));

		if (!deaf) {
			EXPECT_EQ(1, klog_wait(&self->log, "not blocked any more", WAIT_MS));
			EXPECT_EQ(0, poll(&errors, 1, 0));
			EXPECT_EQ(-ETIMEDOUT, uevent_next(self->uevents, self->fn.bdf,
							  "ERROR_EVENT", value,
							  sizeof(value), 0));
			EXPECT_EQ(0, klog_count(&self->log, "no answer to invalidations"));
		} else {
			ASSERT_EQ(1, poll(&errors, 1, WAIT_MS));
			ASSERT_EQ((ssize_t)sizeof(count), read(errors.fd, &count, sizeof(count)));
			EXPECT_TRUE(uevent_is(self, BEGIN));
			EXPECT_EQ(1, klog_count(&self->log, "no answer to invalidations"));
			expect_blocked(_metadata, self->fn.bdf, "broken");
			EXPECT_EQ(0, atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL));
			set_policy(_metadata, self, ATSX_INV_ANSWER);
			EXPECT_EQ(0, vfio_reset(&self->fn));
			ASSERT_EQ(0, vfio_enable(&self->fn));
		}
		expect_blocked(_metadata, self->fn.bdf, "none");
		EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL) |
				     atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL));
		ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem[1]));
		EXPECT_EQ(0, atsx_fn_granted(&self->fn, &mem[1], GRANT_ALL));
	}
	EXPECT_EQ(0, klog_count(&self->log, "WARNING:|BUG:"))
		klog_show(&self->log, "WARNING:|BUG:");
}

TEST_F_TIMEOUT(recovery, d3cold, TIMEOUT)
{
	if (!getenv("vm_acpi_power"))
		SKIP(return, "no firmware that switches the function off");
	asleep(_metadata, self, variant->index, "D3cold");
}

TEST_F_TIMEOUT(recovery, d3hot, TIMEOUT)
{
	asleep(_metadata, self, variant->index, "D3hot");
}

TEST_HARNESS_MAIN
