// SPDX-License-Identifier: GPL-2.0
/*
 * The stale-write oracle. A function caches the translation of a buffer and does
 * not answer when it is invalidated. After the unmap has returned the memory is
 * somebody else's, with a pattern of that owner's, and the function writes through
 * its cache. If the pattern changes, memory was corrupted. The rules:
 *
 *   D8   SMMUv3: the function is fenced before the unmap returns; E4 for VT-d
 *   D10  a fenced function is sent no further invalidation; E5 for VT-d
 *   D11  no unmap returns before the hardware has reported or the function answered
 *
 * Each case first takes the same way with the function as it should be: its writes
 * land while the buffer is mapped, and after the unmap nothing is left in its cache.
 *
 * A case needs the kernel command line iommu.strict=1, VT-d also intel_iommu=on, an
 * ats-exerciser with a VF, and this time-out of the IOMMU in ms, as
 * arm-smmuv3.atc-timeout or intel-iommu.device-iotlb-timeout:
 *
 *   software     3000, longer than the driver of the SMMU polls
 *   lazy         400, and iommu.strict=0
 *   the others   400
 */

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"

#define TIMEOUT		120

/* Of the hardware, in ms */
#define HW_TIMEOUT	400
#define HW_SOFTWARE	3000
/* Durations are read in whole ms */
#define EARLY		1
/* Long after that, on a busy host too */
#define LATE_ANSWER	(4 * HW_TIMEOUT)
/* For what ends by itself, far from all of these */
#define PATIENCE	20000
/* Between two attempts to get an address again */
#define MAP_AGAIN_MS	50

#define SIZE		(4 * 4096)
#define WORDS		(SIZE / sizeof(uint64_t))

/* Where iommufd maps; reserved on no machine */
#define IOVA		0x40000000ull

/* Patterns: of the function while it may write, and when it may not; of the next owner */
#define LIVE		0x1111111111111111ull
#define STALE		0x5555555555555555ull
#define OWNER		0xeeeeeeeeeeeeeeeeull

/* Lines about invalidations that timed out */
#define FAULTS		"CMDQ error|detected Invalidation Time-out Error"

/* The function and what maps for it */
struct user {
	struct atsx_fn fn;
	struct vfio_space space;
};

/* The way from the test to the IOMMU */
struct way {
	int (*open)(struct user *user);
	void (*close)(struct user *user);
	int (*alloc)(struct user *user, struct atsx_mem *mem);
	/* Sets mem->buf.iova, to @iova where the user has a say in it */
	int (*map)(struct user *user, struct atsx_mem *mem, uint64_t iova);
	int (*unmap)(struct user *user, struct atsx_mem *mem);
};

static int dma_api_open(struct user *user)
{
	return atsx_fn_open(&user->fn, 1);
}

static void dma_api_close(struct user *user)
{
	close(user->fn.fd);
}

static int dma_api_alloc(struct user *user, struct atsx_mem *mem)
{
	return atsx_mem_alloc(user->fn.fd, mem, SIZE);
}

static int dma_api_map(struct user *user, struct atsx_mem *mem, uint64_t iova)
{
	(void)iova;
	return atsx_mem_map(user->fn.fd, mem);
}

static int dma_api_unmap(struct user *user, struct atsx_mem *mem)
{
	return atsx_mem_unmap(user->fn.fd, mem);
}

static const struct way dma_api = {
	.open = dma_api_open,
	.close = dma_api_close,
	.alloc = dma_api_alloc,
	.map = dma_api_map,
	.unmap = dma_api_unmap,
};

static int iommufd_open(struct user *user)
{
	return vfio_space_open(&user->space) ?:
	       vfio_open(&user->fn, 1, &user->space) ?:
	       vfio_attach(&user->fn, &user->space);
}

static void iommufd_close(struct user *user)
{
	vfio_close(&user->fn);
	vfio_space_close(&user->space);
}

static int iommufd_alloc(struct user *user, struct atsx_mem *mem)
{
	(void)user;
	return vfio_mem_alloc(mem, SIZE);
}

static int iommufd_map(struct user *user, struct atsx_mem *mem, uint64_t iova)
{
	mem->buf.iova = iova;
	return vfio_mem_map(&user->space, mem);
}

static int iommufd_unmap(struct user *user, struct atsx_mem *mem)
{
	return vfio_mem_unmap(&user->space, mem);
}

static const struct way iommufd = {
	.open = iommufd_open,
	.close = iommufd_close,
	.alloc = iommufd_alloc,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
};

FIXTURE(stale) {
	char pf[BDF_SIZE];
	/* Of the domains that drivers get */
	char type[16];
	struct user user;
	struct atsx_fn *fn;
	/* The buffer that is taken away, and one that stays until the verdict is out */
	struct atsx_mem mem;
	struct atsx_mem kept;
	struct klog log;
	int host;
	int unmaps;
	/* Invalidations, when the last unmap was over */
	uint64_t received;
};

FIXTURE_VARIANT(stale) {
	const struct way *way;
};

FIXTURE_VARIANT_ADD(stale, dma_api) { .way = &dma_api, };
FIXTURE_VARIANT_ADD(stale, iommufd) { .way = &iommufd, };

FIXTURE_SETUP(stale)
{
	const char *why;

	why = atsx_unfit(self->pf, false);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, iommu_type(self->pf, self->type, sizeof(self->type)));
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 1));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));

	/* Where the SMMU's interrupts go: who waits for it there keeps them off */
	ASSERT_EQ(0, pin_cpu(0));
	self->fn = &self->user.fn;
	ASSERT_EQ(0, variant->way->open(&self->user));
	ASSERT_EQ(0, variant->way->alloc(&self->user, &self->mem));
	ASSERT_EQ(0, variant->way->alloc(&self->user, &self->kept));
	ASSERT_EQ(0, variant->way->map(&self->user, &self->kept, IOVA + SIZE));
}

FIXTURE_TEARDOWN(stale)
{
	if (self->fn && self->fn->regs)
		vfio_inv_policy(self->fn, ATSX_INV_ANSWER, 0);
	variant->way->close(&self->user);
	if (pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

/*
 * Commands are given by register, because the interrupt of a function that has
 * been shut out may be refused like any other write.
 */
static int command(struct _test_data_stale *self, const struct atsx_mem *mem,
		   uint32_t cmd, uint32_t flags, uint64_t pattern)
{
	struct ats_exerciser_dma arg = {
		.cmd = cmd, .flags = flags, .pattern = pattern,
		.addr = mem->buf.iova, .len = SIZE,
	};
	int ret = atsx_regs_dma(self->fn->regs, &arg);

	return cmd == ATSX_CMD_LOOKUP && !ret ? (int)arg.count : ret;
}

static int in_atc(struct _test_data_stale *self, const struct atsx_mem *mem)
{
	return command(self, mem, ATSX_CMD_LOOKUP, 0, 0);
}

/* Through the ATC; returns ATSX_RESULT_* */
static int write_cached(struct _test_data_stale *self, const struct atsx_mem *mem,
			uint64_t pattern)
{
	return command(self, mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, pattern);
}

static uint64_t host_count(struct __test_metadata *_metadata, struct _test_data_stale *self,
			   unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, self->fn->index, host_counter[counter], &value));
	return value;
}

/* Puts a mapped buffer into the ATC, and shows that the function reaches it */
static void cache(struct __test_metadata *_metadata, struct _test_data_stale *self,
		  struct atsx_mem *mem)
{
	atsx_mem_fill(mem, OWNER);
	ASSERT_EQ(0, in_atc(self, mem));
	ASSERT_EQ(ATSX_RESULT_OK, command(self, mem, ATSX_CMD_TRANSLATE, 0, 0));
	ASSERT_EQ(SIZE, in_atc(self, mem));
	ASSERT_EQ(ATSX_RESULT_OK, write_cached(self, mem, LIVE));
	ASSERT_EQ(0, atsx_mem_differs(mem, LIVE));
	ASSERT_LT(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));
}

/* Through the ATC, to memory that is not the function's; 1 if the write landed */
static int write_stale(struct __test_metadata *_metadata, struct _test_data_stale *self,
		       const struct atsx_mem *mem)
{
	int ret = write_cached(self, mem, STALE);

	/* Refused: by the IOMMU, by a cleared ATS Enable, or for want of an entry */
	ASSERT_LE(ATSX_RESULT_OK, ret);
	return ret == ATSX_RESULT_OK;
}

/* The ms that the unmap took */
static int unmap_timed(struct __test_metadata *_metadata, struct _test_data_stale *self,
		       const struct way *way, struct atsx_mem *mem)
{
	int ms;

	ASSERT_EQ(0, way->unmap(&self->user, mem));
	/* Not by way of the host, which takes its time */
	self->received = atsx_regs_counter(self->fn->regs, ATSX_CNT_INV_RECEIVED);
	ms = mem->buf.duration_ns / 1000000;
	ksft_print_msg("unmap %d: %d ms\n", ++self->unmaps, ms);
	return ms;
}

/* Of a buffer that has its next owner's pattern */
static void verdict(struct __test_metadata *_metadata, const struct atsx_mem *mem)
{
	size_t overwritten = atsx_mem_differs(mem, OWNER);

	ksft_print_msg("stale: %zu of %zu words overwritten\n", overwritten, WORDS);
	EXPECT_EQ(0, overwritten);
}

/* Maps the buffer @mem and takes it away, with a function that answers */
static void healthy(struct __test_metadata *_metadata, struct _test_data_stale *self,
		    const struct way *way)
{
	uint64_t received, answered;

	ASSERT_EQ(0, way->map(&self->user, &self->mem, IOVA));
	cache(_metadata, self, &self->mem);
	received = host_count(_metadata, self, ATSX_CNT_INV_RECEIVED);
	answered = host_count(_metadata, self, ATSX_CNT_INV_ANSWERED);
	unmap_timed(_metadata, self, way, &self->mem);
	ASSERT_LT(received, host_count(_metadata, self, ATSX_CNT_INV_RECEIVED));
	ASSERT_EQ(host_count(_metadata, self, ATSX_CNT_INV_RECEIVED) - received,
		  host_count(_metadata, self, ATSX_CNT_INV_ANSWERED) - answered);
	ASSERT_EQ(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));

	atsx_mem_fill(&self->mem, OWNER);
	ASSERT_EQ(ATSX_RESULT_NO_ENTRY, write_cached(self, &self->mem, STALE));
	ASSERT_EQ(0, atsx_mem_differs(&self->mem, OWNER));
}

/* What every case with a strict domain starts with: both buffers are in the ATC */
static void prepare(struct __test_metadata *_metadata, struct _test_data_stale *self,
		    const struct way *way)
{
	healthy(_metadata, self, way);
	cache(_metadata, self, &self->kept);
	ASSERT_EQ(0, way->map(&self->user, &self->mem, IOVA));
	cache(_metadata, self, &self->mem);
}

/*
 * The function gets and uses no translation, of what is mapped either, and the log
 * says so once
 */
static void expect_refused(struct __test_metadata *_metadata, struct _test_data_stale *self,
			   const struct atsx_mem *mem)
{
	int granted = atsx_fn_granted(self->fn, mem, GRANT_ATS);

	EXPECT_EQ(0, granted);
	ksft_print_msg("fenced: %d translation requests %s, translated DMA %s\n", !granted,
		       granted & GRANT_REQUEST ? "granted" : "refused",
		       granted & GRANT_TRANSLATED ? "granted" : "refused");
	EXPECT_GE(1, klog_count(&self->log, FAULTS))
		klog_show(&self->log, FAULTS);
}

/* After the verdict. The function's next unmap is over at once and sends it nothing. */
static void expect_fenced(struct __test_metadata *_metadata, struct _test_data_stale *self,
			  const struct way *way)
{
	uint64_t received = self->received;
	int ms;

	expect_refused(_metadata, self, &self->kept);
	ms = unmap_timed(_metadata, self, way, &self->kept);
	EXPECT_GT(HW_TIMEOUT / 2, ms);
	EXPECT_EQ(received, host_count(_metadata, self, ATSX_CNT_INV_RECEIVED));
}

/* It never answers (D8, E4) */
TEST_F_TIMEOUT(stale, deaf, TIMEOUT)
{
	if (strcmp(self->type, "DMA"))
		SKIP(return, "the domains are %s: needs iommu.strict=1", self->type);
	prepare(_metadata, self, variant->way);

	vfio_inv_policy(self->fn, ATSX_INV_DROP, 0);
	unmap_timed(_metadata, self, variant->way, &self->mem);
	atsx_mem_fill(&self->mem, OWNER);
	EXPECT_EQ(0, write_stale(_metadata, self, &self->mem));
	verdict(_metadata, &self->mem);
	expect_fenced(_metadata, self, variant->way);
}

/* It answers when nobody waits any more: writes before and after that (D8, E4) */
TEST_F_TIMEOUT(stale, late, TIMEOUT)
{
	uint64_t answered, end;
	int landed;

	if (strcmp(self->type, "DMA"))
		SKIP(return, "the domains are %s: needs iommu.strict=1", self->type);
	prepare(_metadata, self, variant->way);
	answered = host_count(_metadata, self, ATSX_CNT_INV_ANSWERED);

	/* Where an unpatched kernel is back before the answer: it has its interrupt */
	ASSERT_EQ(0, pin_cpu(1));
	vfio_inv_policy(self->fn, ATSX_INV_DELAY, LATE_ANSWER);
	end = raw_ms() + PATIENCE;
	unmap_timed(_metadata, self, variant->way, &self->mem);
	atsx_mem_fill(&self->mem, OWNER);
	landed = write_stale(_metadata, self, &self->mem);
	/* Else this shows nothing about the time before the answer */
	EXPECT_EQ(answered, host_count(_metadata, self, ATSX_CNT_INV_ANSWERED));
	while (host_count(_metadata, self, ATSX_CNT_INV_ANSWERED) == answered) {
		ASSERT_GT(end, raw_ms());
		landed += write_stale(_metadata, self, &self->mem);
	}
	landed += write_stale(_metadata, self, &self->mem);
	EXPECT_EQ(0, landed);
	verdict(_metadata, &self->mem);
	/* For the next unmap the function would answer at once */
	vfio_inv_policy(self->fn, ATSX_INV_ANSWER, 0);
	expect_fenced(_metadata, self, variant->way);
}

/* The hardware is slower to report than the driver is patient (D11) */
TEST_F_TIMEOUT(stale, software, TIMEOUT)
{
	if (strcmp(self->type, "DMA"))
		SKIP(return, "the domains are %s: needs iommu.strict=1", self->type);
	prepare(_metadata, self, variant->way);

	vfio_inv_policy(self->fn, ATSX_INV_DROP, 0);
	EXPECT_LE(HW_SOFTWARE - EARLY, unmap_timed(_metadata, self, variant->way, &self->mem));
	atsx_mem_fill(&self->mem, OWNER);
	EXPECT_EQ(0, write_stale(_metadata, self, &self->mem));
	verdict(_metadata, &self->mem);
	expect_fenced(_metadata, self, variant->way);
}

/* Makes the function write, one command after the other */
struct writer {
	struct _test_data_stale *self;
	bool stop;
	int landed;
	int done;
	int error;
};

static void *writer_thread(void *data)
{
	struct writer *w = data;

	w->error = pin_cpu(1);
	while (!w->error && !__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		int ret = write_cached(w->self, &w->self->mem, STALE);

		if (ret < 0)
			w->error = ret;
		else if (ret == ATSX_RESULT_OK)
			__atomic_fetch_add(&w->landed, 1, __ATOMIC_RELEASE);
		__atomic_fetch_add(&w->done, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Waits for the end of @n more commands than *@count; false if none comes */
static bool writer_goes_on(const int *count, int n)
{
	int target = __atomic_load_n(count, __ATOMIC_ACQUIRE) + n;
	uint64_t end = raw_ms() + PATIENCE;

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < target) {
		if (raw_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* It never stops writing: only what lands after the unmap does harm (D8, E4) */
TEST_F_TIMEOUT(stale, during, TIMEOUT)
{
	struct writer writer = { .self = self };
	pthread_t thread;

	if (strcmp(self->type, "DMA"))
		SKIP(return, "the domains are %s: needs iommu.strict=1", self->type);
	prepare(_metadata, self, variant->way);

	ASSERT_EQ(0, pthread_create(&thread, NULL, writer_thread, &writer));
	EXPECT_TRUE(writer_goes_on(&writer.landed, 10));
	vfio_inv_policy(self->fn, ATSX_INV_DROP, 0);
	unmap_timed(_metadata, self, variant->way, &self->mem);
	atsx_mem_fill(&self->mem, OWNER);
	/* The first of them may have begun before the unmap was over */
	EXPECT_TRUE(writer_goes_on(&writer.done, 10));
	__atomic_store_n(&writer.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, writer.error);
	verdict(_metadata, &self->mem);
	expect_fenced(_metadata, self, variant->way);
}

/*
 * Maps a buffer where @old was mapped, as soon as that address is to be had again.
 * Buffers that were given another address stay there: an unmap would have the
 * function's cache flushed at a time of its own.
 */
static void map_again(struct __test_metadata *_metadata, struct _test_data_stale *self,
		      const struct way *way, struct atsx_mem *mem,
		      const struct atsx_mem *old)
{
	mem->buf.iova = 0;
	for (int i = 1; mem->buf.iova != old->buf.iova; i++) {
		/* Not for ever: the function's driver has a limit */
		ASSERT_EQ(0, way->alloc(&self->user, mem));
		ASSERT_EQ(0, way->map(&self->user, mem, old->buf.iova));
		/* A free address belongs to the CPU where the queue was flushed */
		ASSERT_EQ(0, pin_cpu(i % 2));
		if (mem->buf.iova != old->buf.iova)
			usleep(MAP_AGAIN_MS * 1000);
	}
	ASSERT_EQ(0, pin_cpu(0));
}

/*
 * A lazy domain of the DMA API lets the function reach a buffer until its flush
 * queue is flushed. The address is not used again before that, and then no longer
 * leads to the old memory. iommufd is as strict as ever.
 */
TEST_F_TIMEOUT(stale, lazy, TIMEOUT)
{
	struct atsx_mem second, third;

	if (strcmp(self->type, "DMA-FQ"))
		SKIP(return, "the domains are %s: needs iommu.strict=0", self->type);

	/* A function that answers: its writes reach the buffer that is there now */
	ASSERT_EQ(0, variant->way->map(&self->user, &self->mem, IOVA));
	cache(_metadata, self, &self->mem);
	unmap_timed(_metadata, self, variant->way, &self->mem);
	map_again(_metadata, self, variant->way, &second, &self->mem);
	atsx_mem_fill(&self->mem, OWNER);
	cache(_metadata, self, &second);
	ASSERT_EQ(0, atsx_mem_differs(&self->mem, OWNER));

	vfio_inv_policy(self->fn, ATSX_INV_DROP, 0);
	unmap_timed(_metadata, self, variant->way, &second);
	map_again(_metadata, self, variant->way, &third, &second);
	atsx_mem_fill(&second, OWNER);
	EXPECT_EQ(0, write_stale(_metadata, self, &second));
	verdict(_metadata, &second);
	expect_refused(_metadata, self, &third);
}

TEST_HARNESS_MAIN
