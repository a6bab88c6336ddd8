// SPDX-License-Identifier: GPL-2.0
/*
 * What may happen to a function that is blocked. The rules:
 *
 *   B3  it is blocked while a reset runs, and after one that failed
 *   B4  after a failed reset it stays blocked, attaches are refused with -EBUSY, and
 *       a later reset that succeeds restores everything
 *   B7  it can be unbound, bound, removed, its VFs can be switched off, and the DMA
 *       ownership of its group claimed and released, in each of these states. Nobody
 *       warns, nothing is left behind, and whoever shares a domain with it gets its
 *       translations and invalidations as before.
 *
 * Each case goes through the states: not blocked shows that the case itself works; a
 * reset that takes its time; a reset that failed.
 *
 * A case needs the kernel command line iommu.strict=1, VT-d also intel_iommu=on, an
 * ats-exerciser that is alone below its port, and fail_function.
 *
 *   ioas	a second such exerciser, ex1
 *   group	two more, ex1 and ex2, in one IOMMU group, as below a switch without ACS
 *   sriov	two VFs
 */

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"

#define TIMEOUT		60
/* Of a case that waits until the kernel gives a function up, 66 to 70 s */
#define TIMEOUT_LATE	200

/* A reset that takes its time; the kernel looks for it after 611 and 1123 ms */
#define SLOW_MS		1000
/* A function that is back so late is back after the kernel has given up */
#define LATE_MS		75000
#define LATE_SLACK_MS	10000

/* What fails of a reset of the bus, whether it is one of a slot or not */
#define BUS_RESET	"pci_bridge_secondary_bus_reset"

#define SIZE		(2 * 4096)
#define OLD		0x0101010101010101ull
#define NEW		0x2222222222222222ull

/* With iommufd, a page apart: no two are one range */
#define IOVA(i)		(0x40000000ull + (i) * 2ull * SIZE)

/* What the kernel says of a function that stays blocked */
#define STAYS_BLOCKED	"DMA stays blocked"

enum state { HEALTHY, RESETTING, FAILED, STATES };

static const char *const state_name[STATES] = { "healthy", "resetting", "reset failed" };

/* A reset that runs */
struct reset {
	pthread_t thread;
	struct atsx_fn *fn;
	bool vfio;
	uint64_t start;
	int ret;
	bool runs;
};

FIXTURE(blocked) {
	struct atsx_fn fn;
	struct reset reset;
	struct klog log;
	int host;
};

FIXTURE_SETUP(blocked)
{
	const char *why;
	char bdf[BDF_SIZE];

	why = atsx_unfit(bdf, true);
	if (why)
		SKIP(return, "%s", why);
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(blocked)
{
	fail_function_off();
	EXPECT_EQ(0, klog_count(&self->log, KLOG_SPLAT))
		klog_show(&self->log, KLOG_SPLAT);
}

static uint64_t host_count(struct __test_metadata *_metadata, struct _test_data_blocked *self,
			   struct atsx_fn *fn, unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, fn->index, host_counter[counter], &value));
	return value;
}

/* From the host: the function may have no driver, or the one of VFIO */
static void set_reset_policy(struct __test_metadata *_metadata,
			     struct _test_data_blocked *self, struct atsx_fn *fn,
			     uint32_t policy, uint32_t param)
{
	ASSERT_EQ(0, host_set(self->host, fn->index, "reset-param", param));
	ASSERT_EQ(0, host_set(self->host, fn->index, "reset-policy", policy));
}

static int set_reset_method(struct atsx_fn *fn, const char *method)
{
	return sysfs_write(method, "/sys/bus/pci/devices/%s/reset_method", fn->bdf);
}

static int pci_reset(struct atsx_fn *fn)
{
	return sysfs_write("1", "/sys/bus/pci/devices/%s/reset", fn->bdf);
}

/*
 * Resets of the bus fail from now on, until fail_function_off(), before they have
 * done anything to the functions on it.
 */
static void fail_bus_resets(struct __test_metadata *_metadata, struct atsx_fn *fn)
{
	ASSERT_EQ(0, set_reset_method(fn, "bus"));
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
}

static void *run_reset(void *arg)
{
	struct reset *reset = arg;

	reset->ret = reset->vfio ? vfio_reset(reset->fn) : pci_reset(reset->fn);
	__atomic_store_n(&reset->runs, false, __ATOMIC_RELEASE);
	return NULL;
}

static bool reset_runs(struct _test_data_blocked *self)
{
	return __atomic_load_n(&self->reset.runs, __ATOMIC_ACQUIRE);
}

/* A reset has begun that ends after SLOW_MS at the earliest */
static void begin_reset(struct __test_metadata *_metadata, struct _test_data_blocked *self,
			struct atsx_fn *fn, bool vfio)
{
	uint64_t resets = host_count(_metadata, self, fn, ATSX_CNT_RESETS);

	ASSERT_EQ(0, set_reset_method(fn, "flr"));
	set_reset_policy(_metadata, self, fn, ATSX_RESET_LATE, SLOW_MS);
	self->reset = (struct reset) {
		.fn = fn, .vfio = vfio, .start = raw_ms(), .runs = true,
	};
	ASSERT_EQ(0, pthread_create(&self->reset.thread, NULL, run_reset, &self->reset));
	while (host_count(_metadata, self, fn, ATSX_CNT_RESETS) == resets)
		ASSERT_TRUE(reset_runs(self));
}

static void end_reset(struct __test_metadata *_metadata, struct _test_data_blocked *self)
{
	ASSERT_EQ(0, pthread_join(self->reset.thread, NULL));
	EXPECT_EQ(0, self->reset.ret);
	set_reset_policy(_metadata, self, self->reset.fn, ATSX_RESET_CLEAR, 0);
}

/* The state is reached by sysfs, whatever driver the function has */
static void enter(struct __test_metadata *_metadata, struct _test_data_blocked *self,
		  struct atsx_fn *fn, enum state state)
{
	int lines = klog_count(&self->log, STAYS_BLOCKED);

	switch (state) {
	case RESETTING:
		begin_reset(_metadata, self, fn, false);
		break;
	case FAILED:
		fail_bus_resets(_metadata, fn);
		EXPECT_EQ(-EIO, pci_reset(fn));
		/* What is wrong already is not said again */
		EXPECT_EQ(-EIO, pci_reset(fn));
		ASSERT_EQ(0, fail_function_off());
		EXPECT_EQ(lines + 1, klog_count(&self->log, STAYS_BLOCKED));
		break;
	default:
		break;
	}
}

/* What was called while the function was resetting has waited for the end of it */
static void leave(struct __test_metadata *_metadata, struct _test_data_blocked *self,
		  enum state state)
{
	if (state != RESETTING)
		return;
	EXPECT_LE(self->reset.start + SLOW_MS, raw_ms());
	end_reset(_metadata, self);
}

/* By register: the interrupt of a function that is blocked may be refused */
static int command(struct atsx_fn *fn, const struct atsx_mem *mem, uint32_t cmd,
		   uint32_t flags, uint64_t pattern)
{
	struct ats_exerciser_dma arg = {
		.cmd = cmd, .flags = flags, .pattern = pattern,
		.addr = mem->buf.iova, .len = SIZE,
	};
	int ret = atsx_regs_dma(fn->regs, &arg);

	return cmd == ATSX_CMD_LOOKUP && !ret ? (int)arg.count : ret;
}

/* The function gets translations, and reaches the memory by them and without */
static void expect_reaches(struct __test_metadata *_metadata, struct atsx_fn *fn,
			   struct atsx_mem *mem)
{
	EXPECT_EQ(ATSX_RESULT_OK, command(fn, mem, ATSX_CMD_TRANSLATE, 0, 0))
		TH_LOG("%s", fn->bdf);
	EXPECT_EQ(SIZE, command(fn, mem, ATSX_CMD_LOOKUP, 0, 0))
		TH_LOG("%s", fn->bdf);
	atsx_mem_fill(mem, OLD);
	EXPECT_EQ(ATSX_RESULT_OK, command(fn, mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, NEW))
		TH_LOG("%s", fn->bdf);
	EXPECT_EQ(0, atsx_mem_differs(mem, NEW));
	EXPECT_EQ(ATSX_RESULT_OK, command(fn, mem, ATSX_CMD_WRITE, 0, OLD))
		TH_LOG("%s", fn->bdf);
	EXPECT_EQ(0, atsx_mem_differs(mem, OLD));
}

/*
 * The memory is not mapped any more. The function had received so many invalidations
 * before that; it has heard of this one, and the IOMMU has forgotten the memory, too.
 */
static void expect_gone(struct __test_metadata *_metadata, struct _test_data_blocked *self,
			struct atsx_fn *fn, const struct atsx_mem *mem, uint64_t received)
{
	EXPECT_LT(received, host_count(_metadata, self, fn, ATSX_CNT_INV_RECEIVED))
		TH_LOG("%s", fn->bdf);
	EXPECT_EQ(0, command(fn, mem, ATSX_CMD_LOOKUP, 0, 0))
		TH_LOG("%s", fn->bdf);
	EXPECT_EQ(0, atsx_fn_granted(fn, mem, GRANT_ALL))
		TH_LOG("%s", fn->bdf);
}

/* Nothing is granted to the function, which is there */
static void expect_blocked(struct __test_metadata *_metadata, struct atsx_fn *fn,
			   const struct atsx_mem *mem)
{
	int granted = atsx_fn_granted(fn, mem, GRANT_ALL);

	EXPECT_EQ(0, granted)
		TH_LOG("%s", fn->bdf);
	ksft_print_msg("fenced: %d %s after a failed reset\n", !granted, fn->bdf);
}

/* The same of a function that our driver has */
static void expect_blocked_by_driver(struct __test_metadata *_metadata, struct atsx_fn *fn)
{
	struct atsx_mem mem;

	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fn->fd, &mem));
	expect_blocked(_metadata, fn, &mem);
	ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &mem));
}

/* All of what a function and its driver do with a buffer */
static void expect_works(struct __test_metadata *_metadata, struct _test_data_blocked *self,
			 struct atsx_fn *fn)
{
	struct atsx_mem mem;
	uint64_t received;

	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fn->fd, &mem));
	expect_reaches(_metadata, fn, &mem);
	/* With the interrupt */
	EXPECT_EQ(ATSX_RESULT_OK, dma(fn->fd, &mem, ATSX_CMD_WRITE, 0, NEW))
		TH_LOG("%s", fn->bdf);
	received = host_count(_metadata, self, fn, ATSX_CNT_INV_RECEIVED);
	ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &mem));
	expect_gone(_metadata, self, fn, &mem, received);
	munmap(mem.p, SIZE);
	ASSERT_EQ(0, atsx_ioctl(fn->fd, ATS_EXERCISER_BUF_FREE, &mem.buf));
}

/* The same of a function that the test has not opened */
static void expect_index_works(struct __test_metadata *_metadata,
			       struct _test_data_blocked *self, unsigned int index)
{
	struct atsx_fn fn;

	ASSERT_EQ(0, atsx_fn_open(&fn, index));
	expect_works(_metadata, self, &fn);
	atsx_fn_close(&fn);
}

/* After a failed reset everything is refused; one that succeeds ends that */
static void expect_recovers(struct __test_metadata *_metadata, struct _test_data_blocked *self,
			    struct atsx_fn *fn)
{
	struct atsx_mem mem;

	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fn->fd, &mem));
	expect_blocked(_metadata, fn, &mem);
	ASSERT_EQ(0, set_reset_method(fn, "flr"));
	EXPECT_EQ(0, pci_reset(fn));
	expect_reaches(_metadata, fn, &mem);
	ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &mem));
	expect_works(_metadata, self, fn);
}

/* Mappings are changed while the function is blocked; then a reset succeeds (B4) */
TEST_F_TIMEOUT(blocked, restore, TIMEOUT)
{
	struct atsx_fn *fn = &self->fn;
	struct atsx_mem before, gone, later;

	ASSERT_EQ(0, atsx_fn_open(fn, 0));
	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &before, SIZE));
	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &gone, SIZE));
	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &later, SIZE));

	for (enum state state = HEALTHY; state < STATES; state++) {
		ksft_print_msg("state: %s\n", state_name[state]);
		ASSERT_EQ(0, atsx_mem_map(fn->fd, &before));
		ASSERT_EQ(0, atsx_mem_map(fn->fd, &gone));
		expect_reaches(_metadata, fn, &before);
		expect_reaches(_metadata, fn, &gone);

		enter(_metadata, self, fn, state);
		ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &gone));
		ASSERT_EQ(0, atsx_mem_map(fn->fd, &later));
		if (state == RESETTING) {
			EXPECT_TRUE(reset_runs(self));
			end_reset(_metadata, self);
		} else if (state == FAILED) {
			expect_blocked(_metadata, fn, &before);
			expect_blocked(_metadata, fn, &later);
			ASSERT_EQ(0, set_reset_method(fn, "flr"));
			EXPECT_EQ(0, pci_reset(fn));
		}
		expect_reaches(_metadata, fn, &before);
		expect_reaches(_metadata, fn, &later);
		ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &before));
		ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &later));
		EXPECT_EQ(0, atsx_fn_granted(fn, &before, GRANT_ALL));
	}
	expect_works(_metadata, self, fn);
	atsx_fn_close(fn);
}

/* The driver goes and comes; in between the type of the group is changed */
TEST_F_TIMEOUT(blocked, rebind, TIMEOUT)
{
	struct atsx_fn *fn = &self->fn;
	char type[16];

	for (enum state state = HEALTHY; state < STATES; state++) {
		ksft_print_msg("state: %s\n", state_name[state]);
		ASSERT_EQ(0, atsx_fn_open(fn, 0));
		expect_works(_metadata, self, fn);
		enter(_metadata, self, fn, state);
		EXPECT_EQ(0, pci_unbind(fn->bdf));
		leave(_metadata, self, state);

		if (state == HEALTHY) {
			EXPECT_EQ(0, iommu_set_type(fn->bdf, "identity"));
			EXPECT_EQ(0, iommu_set_type(fn->bdf, "DMA"));
		} else {
			if (state == RESETTING)
				enter(_metadata, self, fn, state);
			EXPECT_EQ(-EBUSY, iommu_set_type(fn->bdf, "identity"));
			EXPECT_EQ(state == RESETTING, reset_runs(self));
			ASSERT_EQ(0, iommu_type(fn->bdf, type, sizeof(type)));
			EXPECT_STREQ("DMA", type);
			ASSERT_EQ(0, iommu_set_type(fn->bdf, "DMA"));
		}

		EXPECT_EQ(0, pci_bind(fn->bdf, ATSX_DRIVER));
		leave(_metadata, self, state);
		atsx_fn_close(fn);
		ASSERT_EQ(0, atsx_fn_open(fn, 0));
		if (state == FAILED)
			expect_recovers(_metadata, self, fn);
		expect_works(_metadata, self, fn);
		atsx_fn_close(fn);
	}
	/* Nothing is left that refuses it */
	ASSERT_EQ(0, atsx_fn_open(fn, 0));
	EXPECT_EQ(0, pci_unbind(fn->bdf));
	EXPECT_EQ(0, iommu_set_type(fn->bdf, "identity"));
	EXPECT_EQ(0, iommu_set_type(fn->bdf, "DMA"));
	EXPECT_EQ(0, pci_bind(fn->bdf, ATSX_DRIVER));
	expect_index_works(_metadata, self, 0);
}

/* The function is removed, with its driver and without, and found again */
TEST_F_TIMEOUT(blocked, remove, TIMEOUT)
{
	struct atsx_fn *fn = &self->fn;

	for (enum state state = HEALTHY; state < STATES; state++) {
		for (int bound = 1; bound >= 0; bound--) {
			struct atsx_mem mem;

			ksft_print_msg("state: %s, %s\n", state_name[state],
				       bound ? "bound" : "unbound");
			ASSERT_EQ(0, atsx_fn_open(fn, 0));
			ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &mem, SIZE));
			ASSERT_EQ(0, atsx_mem_map(fn->fd, &mem));
			expect_reaches(_metadata, fn, &mem);
			EXPECT_EQ(0, bound ? 0 : pci_unbind(fn->bdf));
			enter(_metadata, self, fn, state);
			if (state == FAILED && bound)
				expect_blocked(_metadata, fn, &mem);
			EXPECT_EQ(0, pci_remove(fn->bdf));
			leave(_metadata, self, state);
			atsx_fn_close(fn);
			ASSERT_EQ(0, pci_rescan());
			expect_index_works(_metadata, self, 0);
		}
	}
}

/* A buffer that can be reached through @space, at its @i-th address */
static void space_map(struct __test_metadata *_metadata, struct vfio_space *space,
		      struct atsx_mem *mem, int i)
{
	if (!mem->p) {
		ASSERT_EQ(0, vfio_mem_alloc(mem, SIZE));
		mem->buf.iova = IOVA(i);
	}
	ASSERT_EQ(0, vfio_mem_map(space, mem));
}

/* VFIO takes the function, whose driver is ours, in any of the states */
TEST_F_TIMEOUT(blocked, claim, TIMEOUT)
{
	struct atsx_mem mem = {}, gone = {};
	struct atsx_fn *fn = &self->fn;
	struct vfio_space space;

	ASSERT_EQ(0, vfio_space_open(&space));
	space_map(_metadata, &space, &mem, 0);
	space_map(_metadata, &space, &gone, 1);

	ksft_print_msg("state: %s\n", state_name[HEALTHY]);
	ASSERT_EQ(0, vfio_open(fn, 0, &space));
	ASSERT_EQ(0, vfio_attach(fn, &space));
	expect_reaches(_metadata, fn, &mem);
	expect_reaches(_metadata, fn, &gone);

	/* The attachment ends while a reset runs, and no other is to be had */
	ksft_print_msg("state: %s\n", state_name[RESETTING]);
	begin_reset(_metadata, self, fn, true);
	EXPECT_EQ(0, vfio_detach(fn));
	EXPECT_EQ(-EBUSY, vfio_attach(fn, &space));
	EXPECT_TRUE(reset_runs(self));
	end_reset(_metadata, self);
	ASSERT_EQ(0, vfio_enable(fn));
	EXPECT_EQ(0, atsx_fn_granted(fn, &mem, GRANT_ALL));
	EXPECT_EQ(0, vfio_attach(fn, &space));
	expect_reaches(_metadata, fn, &mem);

	/*
	 * To open the function is to claim its ownership and then to reset it, which does
	 * not wait for another reset: the ownership is released again. It is kept out of
	 * D3hot, which ends with a reset, too.
	 */
	ASSERT_EQ(0, sysfs_write("on", "/sys/bus/pci/devices/%s/power/control", fn->bdf));
	vfio_release(fn);
	begin_reset(_metadata, self, fn, false);
	EXPECT_EQ(-EAGAIN, vfio_open(fn, 0, &space));
	EXPECT_TRUE(reset_runs(self));
	vfio_release(fn);
	end_reset(_metadata, self);
	ASSERT_EQ(0, vfio_open(fn, 0, &space));
	ASSERT_EQ(0, vfio_attach(fn, &space));
	expect_reaches(_metadata, fn, &mem);

	/* The attachment outlives resets, failed ones and others */
	ksft_print_msg("state: %s\n", state_name[FAILED]);
	fail_bus_resets(_metadata, fn);
	EXPECT_EQ(-EIO, vfio_reset(fn));
	ASSERT_EQ(0, vfio_enable(fn));
	expect_blocked(_metadata, fn, &mem);
	ASSERT_EQ(0, vfio_mem_unmap(&space, &gone));
	ASSERT_EQ(0, fail_function_off());
	EXPECT_EQ(0, vfio_reset(fn));
	ASSERT_EQ(0, vfio_enable(fn));
	expect_reaches(_metadata, fn, &mem);
	EXPECT_EQ(0, atsx_fn_granted(fn, &gone, GRANT_ALL));

	/* It can be ended, but no other takes its place */
	fail_bus_resets(_metadata, fn);
	EXPECT_EQ(-EIO, vfio_reset(fn));
	EXPECT_EQ(0, vfio_detach(fn));
	EXPECT_EQ(-EBUSY, vfio_attach(fn, &space));
	ASSERT_EQ(0, fail_function_off());
	EXPECT_EQ(0, vfio_reset(fn));
	ASSERT_EQ(0, vfio_enable(fn));
	EXPECT_EQ(0, atsx_fn_granted(fn, &mem, GRANT_ALL));
	EXPECT_EQ(0, vfio_attach(fn, &space));
	expect_reaches(_metadata, fn, &mem);

	/* The function is closed, and comes back to our driver, as it is */
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	EXPECT_EQ(-EIO, vfio_reset(fn));
	vfio_close(fn);
	ASSERT_EQ(0, atsx_fn_open(fn, 0));
	ASSERT_EQ(0, fail_function_off());
	expect_recovers(_metadata, self, fn);

	/* Opened as it is, while the reset that is part of this fails as well */
	enter(_metadata, self, fn, FAILED);
	atsx_fn_close(fn);
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	ASSERT_EQ(0, vfio_open(fn, 0, &space));
	EXPECT_EQ(-EBUSY, vfio_attach(fn, &space));
	ASSERT_EQ(0, fail_function_off());
	EXPECT_EQ(0, pci_reset(fn));
	EXPECT_EQ(0, vfio_attach(fn, &space));
	expect_reaches(_metadata, fn, &mem);
	/* Closed attached, and no reset is part of this any more */
	ASSERT_EQ(0, fail_function(BUS_RESET, -EIO));
	EXPECT_EQ(-EIO, pci_reset(fn));
	vfio_close(fn);
	ASSERT_EQ(0, atsx_fn_open(fn, 0));
	expect_blocked_by_driver(_metadata, fn);
	ASSERT_EQ(0, fail_function_off());

	/* The reset that is part of opening it ends the blocking */
	atsx_fn_close(fn);
	ASSERT_EQ(0, vfio_open(fn, 0, &space));
	EXPECT_EQ(0, vfio_attach(fn, &space));
	expect_reaches(_metadata, fn, &mem);
	vfio_close(fn);
	vfio_space_close(&space);
	expect_index_works(_metadata, self, 0);
}

/* A buffer comes and goes in a domain; the function uses it and learns of both */
static void expect_invalidated(struct __test_metadata *_metadata,
			       struct _test_data_blocked *self, struct vfio_space *space,
			       struct atsx_fn *fn)
{
	struct atsx_mem mem = {};
	uint64_t received;

	space_map(_metadata, space, &mem, 1);
	expect_reaches(_metadata, fn, &mem);
	received = host_count(_metadata, self, fn, ATSX_CNT_INV_RECEIVED);
	ASSERT_EQ(0, vfio_mem_unmap(space, &mem));
	expect_gone(_metadata, self, fn, &mem, received);
	munmap(mem.p, SIZE);
}

/* The function leaves a domain that another device shares (B7) */
TEST_F_TIMEOUT(blocked, ioas, TIMEOUT)
{
	struct atsx_fn *fn = &self->fn;
	struct vfio_space space;
	struct atsx_mem mem = {};
	struct atsx_fn other;

	ASSERT_EQ(0, vfio_space_open(&space));
	ASSERT_EQ(0, vfio_open(&other, ATSX_EX(1), &space));
	ASSERT_EQ(0, vfio_attach(&other, &space));

	for (enum state state = HEALTHY; state < STATES; state++) {
		uint64_t received, others;

		ksft_print_msg("state: %s\n", state_name[state]);
		ASSERT_EQ(0, vfio_open(fn, 0, &space));
		ASSERT_EQ(0, vfio_attach(fn, &space));
		space_map(_metadata, &space, &mem, 0);
		expect_reaches(_metadata, fn, &mem);
		expect_reaches(_metadata, &other, &mem);
		if (state == RESETTING) {
			begin_reset(_metadata, self, fn, true);
		} else if (state == FAILED) {
			fail_bus_resets(_metadata, fn);
			EXPECT_EQ(-EIO, vfio_reset(fn));
		}

		/* It is not in the domain any more if it is blocked; the other is */
		received = host_count(_metadata, self, fn, ATSX_CNT_INV_RECEIVED);
		others = host_count(_metadata, self, &other, ATSX_CNT_INV_RECEIVED);
		ASSERT_EQ(0, vfio_mem_unmap(&space, &mem));
		expect_gone(_metadata, self, &other, &mem, others);
		if (state == HEALTHY) {
			expect_gone(_metadata, self, fn, &mem, received);
		} else {
			EXPECT_EQ(received, host_count(_metadata, self, fn,
						       ATSX_CNT_INV_RECEIVED));
		}

		/* The call that resets holds the file */
		if (state == RESETTING) {
			EXPECT_EQ(0, vfio_detach(fn));
			EXPECT_TRUE(reset_runs(self));
		} else {
			vfio_close(fn);
		}
		expect_invalidated(_metadata, self, &space, &other);
		if (state == RESETTING) {
			end_reset(_metadata, self);
			vfio_close(fn);
		} else if (state == FAILED) {
			ASSERT_EQ(0, atsx_fn_open(fn, 0));
			ASSERT_EQ(0, fail_function_off());
			expect_blocked_by_driver(_metadata, fn);
			EXPECT_EQ(0, pci_remove(fn->bdf));
			atsx_fn_close(fn);
			expect_invalidated(_metadata, self, &space, &other);
			ASSERT_EQ(0, pci_rescan());
		}
		expect_index_works(_metadata, self, 0);
		expect_invalidated(_metadata, self, &space, &other);
		EXPECT_EQ(0, vfio_detach(&other));
		ASSERT_EQ(0, vfio_attach(&other, &space));
		expect_invalidated(_metadata, self, &space, &other);
	}
	vfio_close(&other);
	vfio_space_close(&space);
	expect_index_works(_metadata, self, ATSX_EX(1));
}

static int group_of(const char *bdf, char *group, size_t size)
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = readlink(path, group, size - 1);
	if (len < 0)
		return -errno;
	group[len] = '\0';
	return 0;
}

/* The function shares its group with another, and so the domain of the DMA API (B7) */
TEST_F_TIMEOUT(blocked, group, TIMEOUT)
{
	struct atsx_fn *fn = &self->fn;
	struct atsx_fn other;
	char group[2][256];

	ASSERT_EQ(0, atsx_fn_open(&other, ATSX_EX(2)));
	for (enum state state = HEALTHY; state < STATES; state++) {
		for (int remove = 0; remove <= 1; remove++) {
			struct atsx_mem mem;
			uint64_t received;

			ksft_print_msg("state: %s, %s\n", state_name[state],
				       remove ? "removed" : "unbound");
			ASSERT_EQ(0, atsx_fn_open(fn, ATSX_EX(1)));
			ASSERT_EQ(0, group_of(fn->bdf, group[0], sizeof(group[0])));
			ASSERT_EQ(0, group_of(other.bdf, group[1], sizeof(group[1])));
			ASSERT_STREQ(group[0], group[1]);
			expect_works(_metadata, self, fn);
			ASSERT_EQ(0, atsx_mem_alloc(other.fd, &mem, SIZE));
			ASSERT_EQ(0, atsx_mem_map(other.fd, &mem));
			expect_reaches(_metadata, &other, &mem);

			enter(_metadata, self, fn, state);
			if (state == FAILED)
				expect_blocked_by_driver(_metadata, fn);
			expect_works(_metadata, self, &other);
			EXPECT_EQ(state == RESETTING, reset_runs(self));
			EXPECT_EQ(0, remove ? pci_remove(fn->bdf) : pci_unbind(fn->bdf));
			leave(_metadata, self, state);
			atsx_fn_close(fn);

			/* What the other has cached is still its own, and then taken away */
			expect_reaches(_metadata, &other, &mem);
			received = host_count(_metadata, self, &other, ATSX_CNT_INV_RECEIVED);
			ASSERT_EQ(0, atsx_mem_unmap(other.fd, &mem));
			expect_gone(_metadata, self, &other, &mem, received);
			expect_works(_metadata, self, &other);

			/* The group waits for a function that is blocked, if it is there */
			EXPECT_EQ(0, pci_unbind(other.bdf));
			EXPECT_EQ(state == FAILED && !remove ? -EBUSY : 0,
				  iommu_set_type(other.bdf, "identity"));
			EXPECT_EQ(0, iommu_set_type(other.bdf, "DMA"));
			EXPECT_EQ(0, pci_bind(other.bdf, ATSX_DRIVER));
			ASSERT_EQ(0, remove ? pci_rescan() : pci_bind(fn->bdf, ATSX_DRIVER));
			atsx_fn_close(&other);
			ASSERT_EQ(0, atsx_fn_open(fn, ATSX_EX(1)));
			ASSERT_EQ(0, atsx_fn_open(&other, ATSX_EX(2)));
			if (state == FAILED && !remove)
				expect_recovers(_metadata, self, fn);
			expect_works(_metadata, self, fn);
			expect_works(_metadata, self, &other);
			atsx_fn_close(fn);
		}
	}
	atsx_fn_close(&other);
}

/* VFs are switched off. Their only reset is FLR, which fails after a minute. */
TEST_F_TIMEOUT(blocked, sriov, TIMEOUT_LATE)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct atsx_fn *fn = &self->fn;
	struct atsx_mem mem;
	struct atsx_fn pf;
	uint64_t end;
	int cmd;

	ASSERT_EQ(0, atsx_fn_open(&pf, 0));
	for (enum state state = HEALTHY; state < FAILED; state++) {
		ksft_print_msg("state: %s\n", state_name[state]);
		ASSERT_EQ(0, pci_set_numvfs(pf.bdf, 2));
		expect_index_works(_metadata, self, 2);
		ASSERT_EQ(0, atsx_fn_open(fn, 1));
		expect_works(_metadata, self, fn);
		enter(_metadata, self, fn, state);
		EXPECT_EQ(0, pci_set_numvfs(pf.bdf, 0));
		leave(_metadata, self, state);
		atsx_fn_close(fn);
	}

	/* The PF is alone on its bus, and blocked, before it has VFs */
	ksft_print_msg("state: %s\n", state_name[FAILED]);
	enter(_metadata, self, &pf, FAILED);
	expect_blocked_by_driver(_metadata, &pf);
	ASSERT_EQ(0, pci_set_numvfs(pf.bdf, 2));
	expect_index_works(_metadata, self, 2);

	ASSERT_EQ(0, atsx_fn_open(fn, 1));
	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fn->fd, &mem));
	expect_reaches(_metadata, fn, &mem);
	ASSERT_EQ(0, set_reset_method(fn, "flr"));
	set_reset_policy(_metadata, self, fn, ATSX_RESET_LATE, LATE_MS);
	end = raw_ms() + LATE_MS + LATE_SLACK_MS;
	EXPECT_GT(0, pci_reset(fn));
	while ((cmd = pci_command(fn->bdf)) == PCI_COMMAND_ABSENT) {
		ASSERT_GT(end, raw_ms());
		nanosleep(&pause, NULL);
	}
	/* Nobody was there to restore it */
	ASSERT_EQ(0, pci_set_command(fn->bdf, cmd | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
	expect_blocked(_metadata, fn, &mem);
	set_reset_policy(_metadata, self, fn, ATSX_RESET_CLEAR, 0);
	expect_index_works(_metadata, self, 2);

	EXPECT_EQ(0, pci_set_numvfs(pf.bdf, 0));
	atsx_fn_close(fn);
	expect_recovers(_metadata, self, &pf);
	ASSERT_EQ(0, pci_set_numvfs(pf.bdf, 2));
	expect_index_works(_metadata, self, 1);
	expect_index_works(_metadata, self, 2);
	EXPECT_EQ(0, pci_set_numvfs(pf.bdf, 0));
	expect_works(_metadata, self, &pf);
	atsx_fn_close(&pf);
}

TEST_HARNESS_MAIN
