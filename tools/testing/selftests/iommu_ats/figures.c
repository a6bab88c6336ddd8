// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs devices that answer that one might not, and what it costs when one does
 * not: nothing passes or fails here, but the time of mapping and unmapping is printed, for
 * `make bench` to compare kernels.
 *
 * Time has to count instructions: QEMU's -smp 1 -icount shift=0,sleep=off, said by
 * vm_icount=1 on the command line. The same kernel gives the same numbers then.
 *
 *	figures.<n>.iommufd	n functions in the address space of a VFIO user
 *	figures.1.driver	one function, mapped for by its driver
 *	figures.<n>.deaf	n functions, of which 1, or half, or all stop answering
 *	figures.1.stale		one function stops answering and writes after the unmap, over
 *				and over, vm_tries=N of the environment says how
 *				often; time may be anything
 *
 * It needs an exerciser with 63 VFs, and another one beside it.
 */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"

#define TIMEOUT		600

/* VFs of the first exerciser, whose PF keeps its driver, and the PF of a second one */
#define MAX_VFS		63
#define MAX_FUNCTIONS	(MAX_VFS + 1)
#define IOVA		0x40000000ull

/* Some more first: tables of the IOMMU and caches of the kernel are filled by them */
#define WARM_UP		16
#define LOOPS		64

/* The last is more than the exerciser's driver has for a buffer */
static const size_t sizes[] = { 4096, 65536, 1048576, 2097152 };
#define DRIVER_SIZES	3

/* Patterns, and where they are */
#define OWNER		0xeeeeeeeeeeeeeeeeull
#define STALE		0x5555555555555555ull
#define PAGE		4096

/* A deaf function may write so long after the unmap, at most */
#define LATER_NS	20000
#define TRIES		100
/* More than the 10 ms that an invalidation is deferred for */
#define DEFERRED_MS	30
/* Until the core has quarantined a function and a reset has brought it back */
#define BACK_MS		20000

#define PRINTK		"/proc/sys/kernel/printk"
#define FAULTS		"CMDQ error|detected Invalidation Time-out Error"

FIXTURE(figures) {
	char pf[BDF_SIZE];
	struct vfio_space space;
	struct atsx_fn fn[MAX_FUNCTIONS];
	unsigned int opened;
	/* Time counts instructions */
	bool icount;
};

FIXTURE_VARIANT(figures) {
	unsigned int functions;
};

FIXTURE_VARIANT_ADD(figures, 1) { .functions = 1, };
FIXTURE_VARIANT_ADD(figures, 2) { .functions = 2, };
FIXTURE_VARIANT_ADD(figures, 4) { .functions = 4, };
FIXTURE_VARIANT_ADD(figures, 8) { .functions = 8, };
FIXTURE_VARIANT_ADD(figures, 16) { .functions = 16, };
FIXTURE_VARIANT_ADD(figures, 32) { .functions = 32, };
FIXTURE_VARIANT_ADD(figures, 64) { .functions = 64, };

FIXTURE_SETUP(figures)
{
	char cmdline[2048];

	ASSERT_EQ(0, sysfs_read(cmdline, sizeof(cmdline), "/proc/cmdline"));
	self->icount = strstr(cmdline, "vm_icount=1");
	self->space.iommufd = -1;
	ASSERT_EQ(0, atsx_bdf(0, self->pf));
}

FIXTURE_TEARDOWN(figures)
{
	for (unsigned int i = 0; i < self->opened; i++)
		vfio_release(&self->fn[i]);
	if (self->space.iommufd >= 0)
		vfio_space_close(&self->space);
}

struct times {
	uint64_t map[LOOPS];
	uint64_t unmap[LOOPS];
};

/* The least: an interrupt in the middle only adds to it */
static uint64_t least(const uint64_t *ns)
{
	uint64_t min = ns[0];

	for (int i = 1; i < LOOPS; i++) {
		if (ns[i] < min)
			min = ns[i];
	}
	return min;
}

static void tell(const char *way, unsigned int functions, size_t size,
		 const struct times *times)
{
	ksft_print_msg("figure: %s functions=%u size=%zu map=%llu unmap=%llu\n", way, functions,
		       size, (unsigned long long)least(times->map),
		       (unsigned long long)least(times->unmap));
}

TEST_F_TIMEOUT(figures, iommufd, TIMEOUT)
{
	if (!self->icount)
		SKIP(return, "time is not counted in instructions");
	ASSERT_EQ(0, pci_set_numvfs(self->pf, MAX_VFS));
	ASSERT_EQ(0, vfio_space_open(&self->space));
	for (unsigned int i = 0; i < variant->functions; i++) {
		unsigned int index = i < MAX_VFS ? i + 1 : ATSX_EX(1);

		ASSERT_EQ(0, vfio_open(&self->fn[i], index, &self->space));
		self->opened++;
		ASSERT_EQ(0, vfio_attach(&self->fn[i], &self->space));
	}
	for (unsigned int s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct atsx_mem mem;
		struct times times;

		ASSERT_EQ(0, vfio_mem_alloc(&mem, sizes[s]));
		mem.buf.iova = IOVA;
		for (int i = 0; i < WARM_UP + LOOPS; i++) {
			ASSERT_EQ(0, vfio_mem_map(&self->space, &mem));
			times.map[i % LOOPS] = mem.buf.duration_ns;
			ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem));
			times.unmap[i % LOOPS] = mem.buf.duration_ns;
		}
		tell("iommufd", variant->functions, sizes[s], &times);
		munmap(mem.p, sizes[s]);
	}
}

static uint64_t received(const struct atsx_fn *fn)
{
	struct ats_exerciser_counters counters = {};

	return atsx_ioctl(fn->fd, ATS_EXERCISER_GET_COUNTERS, &counters) ? 0 :
	       counters.count[ATSX_CNT_INV_RECEIVED];
}

/* The host counts what is invalidated up to 10 ms later, too, unless it was just before */
static void await_deferred(const struct atsx_fn *fn)
{
	uint64_t before = received(fn), end = raw_ms() + DEFERRED_MS;

	while (received(fn) == before && raw_ms() < end)
		sched_yield();
}

TEST_F_TIMEOUT(figures, driver, TIMEOUT)
{
	struct atsx_fn fn;
	char type[16];

	if (variant->functions > 1)
		SKIP(return, "a driver maps for its own function");
	if (!self->icount)
		SKIP(return, "time is not counted in instructions");
	ASSERT_EQ(0, atsx_fn_open(&fn, 0));
	for (unsigned int s = 0; s < DRIVER_SIZES; s++) {
		struct atsx_mem mem;
		struct times times;

		ASSERT_EQ(0, atsx_mem_alloc(fn.fd, &mem, sizes[s]));
		for (int i = 0; i < WARM_UP + LOOPS; i++) {
			ASSERT_EQ(0, atsx_mem_map(fn.fd, &mem));
			times.map[i % LOOPS] = mem.buf.duration_ns;
			ASSERT_EQ(0, atsx_mem_unmap(fn.fd, &mem));
			times.unmap[i % LOOPS] = mem.buf.duration_ns;
		}
		tell("driver", 1, sizes[s], &times);
		munmap(mem.p, sizes[s]);
		ASSERT_EQ(0, atsx_ioctl(fn.fd, ATS_EXERCISER_BUF_FREE, &mem.buf));
	}
	ASSERT_EQ(0, iommu_type(self->pf, type, sizeof(type)));
	if (!strcmp(type, "DMA-FQ"))
		await_deferred(&fn);
	atsx_fn_close(&fn);
}

/* Has the function at hand cache the page, if it answers or not */
static int cache_page(struct atsx_fn *fn, const struct atsx_mem *mem)
{
	struct ats_exerciser_dma cmd = {
		.cmd = ATSX_CMD_TRANSLATE, .addr = mem->buf.iova, .len = PAGE,
	};

	return atsx_regs_dma(fn->regs, &cmd);
}

/* How many words of the next owner's it overwrites with what it has cached */
static size_t write_stale(struct atsx_fn *fn, struct atsx_mem *mem)
{
	struct ats_exerciser_dma cmd = {
		.cmd = ATSX_CMD_WRITE, .flags = ATSX_DMA_TRANSLATED, .pattern = STALE,
		.addr = mem->buf.iova, .len = PAGE,
	};

	atsx_mem_fill(mem, OWNER);
	atsx_regs_dma(fn->regs, &cmd);
	return atsx_mem_differs(mem, OWNER);
}

/*
 * It answers again, is reset, and gets translations. On a kernel that fences nobody it has
 * them anyway. A reset before the core has taken note of the report, or in the middle of
 * it, is followed by another.
 */
static int bring_back(struct atsx_fn *fn, struct vfio_space *space, struct atsx_mem *mem)
{
	uint64_t end = raw_ms() + BACK_MS;
	int ret;

	do {
		vfio_inv_policy(fn, ATSX_INV_ANSWER, 0);
		vfio_reset(fn);
		ret = vfio_enable(fn);
		if (ret)
			return ret;
		ret = vfio_mem_map(space, mem);
		if (ret)
			return ret;
		ret = cache_page(fn, mem);
		if (vfio_mem_unmap(space, mem))
			return -EIO;
	} while (ret != ATSX_RESULT_OK && raw_ms() < end);
	return ret == ATSX_RESULT_OK ? 0 : -ETIMEDOUT;
}

static void tell_fault(unsigned int functions, unsigned int deaf, uint64_t unmap,
		       uint64_t received, size_t stale, int lines)
{
	ksft_print_msg("fault: functions=%u deaf=%u unmap=%llu received=%llu stale=%zu lines=%d\n",
		       functions, deaf, (unsigned long long)unmap,
		       (unsigned long long)received, stale, lines);
}

TEST_F_TIMEOUT(figures, deaf, TIMEOUT)
{
	const unsigned int n = variant->functions;
	unsigned int last = 0;
	struct atsx_mem mem;

	if (!self->icount)
		SKIP(return, "time is not counted in instructions");
	ASSERT_EQ(0, pci_set_numvfs(self->pf, MAX_VFS));
	ASSERT_EQ(0, vfio_space_open(&self->space));
	ASSERT_EQ(0, vfio_mem_alloc(&mem, PAGE));
	mem.buf.iova = IOVA;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int index = i < MAX_VFS ? i + 1 : ATSX_EX(1);

		ASSERT_EQ(0, vfio_open(&self->fn[i], index, &self->space));
		self->opened++;
		ASSERT_EQ(0, vfio_attach(&self->fn[i], &self->space));
	}
	for (unsigned int step = 0; step < 3; step++) {
		const unsigned int deaf = step == 0 ? 1 : step == 1 ? (n + 1) / 2 : n;
		uint64_t before = 0, after = 0;
		struct klog log;
		size_t stale = 0;

		if (deaf == last)
			continue;
		last = deaf;
		ASSERT_EQ(0, klog_open(&log, false));
		ASSERT_EQ(0, vfio_mem_map(&self->space, &mem));
		for (unsigned int i = 0; i < n; i++) {
			ASSERT_EQ(ATSX_RESULT_OK, cache_page(&self->fn[i], &mem));
			before += atsx_regs_counter(self->fn[i].regs, ATSX_CNT_INV_RECEIVED);
		}
		/* The last ones: whoever looks for them has to ask all */
		for (unsigned int i = n - deaf; i < n; i++)
			vfio_inv_policy(&self->fn[i], ATSX_INV_DROP, 0);
		/* What a console takes for a line is not what is looked for */
		ASSERT_EQ(0, sysfs_write("1", PRINTK));
		ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem));
		ASSERT_EQ(0, sysfs_write("7", PRINTK));
		for (unsigned int i = 0; i < n; i++)
			after += atsx_regs_counter(self->fn[i].regs, ATSX_CNT_INV_RECEIVED);
		for (unsigned int i = n - deaf; i < n; i++)
			stale += write_stale(&self->fn[i], &mem);
		tell_fault(n, deaf, mem.buf.duration_ns, after - before, stale,
			   klog_count(&log, FAULTS));
		klog_close(&log);
		for (unsigned int i = n - deaf; i < n; i++)
			ASSERT_EQ(0, bring_back(&self->fn[i], &self->space, &mem));
	}
}

TEST_F_TIMEOUT(figures, stale, 36000)
{
	struct atsx_fn *fn = &self->fn[0], *other = &self->fn[1];
	unsigned int landed = 0, fenced = 0, lines = 0, tries = TRIES;
	struct klog log;
	uint64_t longest = 0;
	struct atsx_mem mem;
	char regex[128];

	if (variant->functions > 1)
		SKIP(return, "one is enough");
	if (getenv("vm_tries"))
		tries = strtoul(getenv("vm_tries"), NULL, 10);
	srand(1);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, vfio_space_open(&self->space));
	for (; self->opened < 2; self->opened++) {
		ASSERT_EQ(0, vfio_open(&self->fn[self->opened], self->opened + 1, &self->space));
		ASSERT_EQ(0, vfio_attach(&self->fn[self->opened], &self->space));
	}
	ASSERT_EQ(0, klog_open(&log, false));
	ASSERT_EQ(0, vfio_mem_alloc(&mem, PAGE));
	mem.buf.iova = IOVA;
	snprintf(regex, sizeof(regex), "%s: .*no answer to invalidations", other->bdf);
	for (unsigned int i = 0; i < tries; i++) {
		struct timespec now, until;

		ASSERT_EQ(0, vfio_mem_map(&self->space, &mem));
		ASSERT_EQ(ATSX_RESULT_OK, cache_page(fn, &mem));
		ASSERT_EQ(ATSX_RESULT_OK, cache_page(other, &mem))
			TH_LOG("%s gets no translation in try %u", other->bdf, i);
		vfio_inv_policy(fn, ATSX_INV_DROP, 0);
		ASSERT_EQ(0, vfio_mem_unmap(&self->space, &mem));
		if (mem.buf.duration_ns > longest)
			longest = mem.buf.duration_ns;
		/* At a random moment; there is nothing to await */
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += rand() % LATER_NS;
		do {
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while (now.tv_sec == until.tv_sec && now.tv_nsec < until.tv_nsec);
		landed += !!write_stale(fn, &mem);
		lines += klog_count(&log, FAULTS);
		fenced += klog_count(&log, regex);
		klog_mark(&log);
		ASSERT_EQ(0, bring_back(fn, &self->space, &mem));
	}
	ksft_print_msg("tries: %u landed=%u healthy=%u longest=%llu lines=%u\n", tries, landed,
		       fenced, (unsigned long long)longest, lines);
}

TEST_HARNESS_MAIN
