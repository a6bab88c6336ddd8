// SPDX-License-Identifier: GPL-2.0
/*
 * Several functions in one domain: an unmap invalidates all of them in one go, and
 * any of them may not answer. The rules:
 *
 *   D1   exactly those are blamed that did not answer
 *   D6   SMMUv3: after a time-out each function is tried once on its own, and that
 *        makes up for all of the batch; E3 for VT-d
 *   D8   those are fenced before the unmap returns, E4 for VT-d; all of it costs at
 *        most one time-out more than there are culprits (D8a)
 *   D10  a fenced function is sent no further invalidation; E5 for VT-d
 *   E2   VT-d: a wait that another function's time-out aborted is repeated
 *   C3   the core then blocks all DMA of the culprits, C7 and of nobody else
 *
 * A case needs an ats-exerciser with four VFs and a time-out of the IOMMU of 100 ms,
 * as arm-smmuv3.atc-timeout or intel-iommu.device-iotlb-timeout.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"

#define TIMEOUT		120

#define VFS		4

/* Of the hardware, in ms */
#define HW_TIMEOUT	100
/*
 * What a busy host may add; with it, one time-out of each function and one of all
 * still end before the driver of the SMMU gives up polling, which takes 1 s. How many
 * time-outs it were is left to kernels that do not check everything, which takes long.
 */
#define SLACK		(getenv("vm_slow") ? 1200 : 400)
/* Durations are read in whole ms */
#define EARLY		1

/* How long quarantine may take */
#define QUARANTINE_MS	5000

/* Buffers are pages of their own, and a page apart: no two are one range */
#define SIZE		(4 * 4096)
#define WORDS		(SIZE / sizeof(uint64_t))
#define IOVA(i)		(0x40000000ull + (i) * 2ull * SIZE)

/* The buffers: RANGES that are taken away, and one that is mapped afterwards */
#define RANGES		4
#define LATER		RANGES
#define BUFS		(RANGES + 1)

/* Patterns: of function @i while it may write, and when not; of the next owner */
#define LIVE(i)		(0x1111111111111111ull * ((i) + 1))
#define STALE		0x5555555555555555ull
#define OWNER		0xeeeeeeeeeeeeeeeeull

/* Lines about invalidations that timed out */
#define FAULTS		"CMDQ error|detected Invalidation Time-out Error"

FIXTURE(batch) {
	char pf[BDF_SIZE];
	struct vfio_space space;
	struct atsx_fn fn[VFS];
	struct atsx_mem mem[BUFS];
	struct klog log;
	int host;
	/* The number of deaf ones */
	int culprits;
	/* Invalidations, of before the unmap and of when it was over */
	uint64_t answered[VFS];
	uint64_t received[VFS];
};

FIXTURE_VARIANT(batch) {
	/* A bit for each VF */
	unsigned int deaf;
};

FIXTURE_VARIANT_ADD(batch, none) { .deaf = 0x0, };
FIXTURE_VARIANT_ADD(batch, first) { .deaf = 0x1, };
FIXTURE_VARIANT_ADD(batch, last) { .deaf = 0x8, };
FIXTURE_VARIANT_ADD(batch, two) { .deaf = 0x6, };
FIXTURE_VARIANT_ADD(batch, all) { .deaf = 0xf, };

FIXTURE_SETUP(batch)
{
	const char *why;

	why = atsx_unfit(self->pf, false);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, VFS));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));

	/* Where the SMMU's interrupts go: who waits for it there keeps them off */
	ASSERT_EQ(0, pin_cpu(0));
	ASSERT_EQ(0, vfio_space_open(&self->space));
	for (int i = 0; i < VFS; i++) {
		ASSERT_EQ(0, vfio_open(&self->fn[i], i + 1, &self->space));
		ASSERT_EQ(0, vfio_attach(&self->fn[i], &self->space));
	}
	for (int i = 0; i < BUFS; i++) {
		ASSERT_EQ(0, vfio_mem_alloc(&self->mem[i], SIZE));
		self->mem[i].buf.iova = IOVA(i);
	}
	self->culprits = __builtin_popcount(variant->deaf);
}

FIXTURE_TEARDOWN(batch)
{
	for (int i = 0; i < VFS; i++) {
		if (self->fn[i].regs)
			vfio_inv_policy(&self->fn[i], ATSX_INV_ANSWER, 0);
		vfio_close(&self->fn[i]);
	}
	vfio_space_close(&self->space);
	if (pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

static bool is_deaf(const struct _fixture_variant_batch *variant, int i)
{
	return variant->deaf & 1u << i;
}

/* By register: the interrupt of a function that is shut out may be refused */
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

static uint64_t host_count(struct __test_metadata *_metadata, struct _test_data_batch *self,
			   int i, unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, self->fn[i].index, host_counter[counter], &value));
	return value;
}

/* Has function @i cache a mapped buffer, and write to it */
static void cache(struct __test_metadata *_metadata, struct _test_data_batch *self, int i,
		  const struct atsx_mem *mem)
{
	EXPECT_EQ(0, command(&self->fn[i], mem, ATSX_CMD_LOOKUP, 0, 0))
		TH_LOG("%s", self->fn[i].bdf);
	EXPECT_EQ(ATSX_RESULT_OK, command(&self->fn[i], mem, ATSX_CMD_TRANSLATE, 0, 0))
		TH_LOG("%s", self->fn[i].bdf);
	EXPECT_EQ(SIZE, command(&self->fn[i], mem, ATSX_CMD_LOOKUP, 0, 0))
		TH_LOG("%s", self->fn[i].bdf);
	EXPECT_EQ(ATSX_RESULT_OK, command(&self->fn[i], mem, ATSX_CMD_WRITE,
					  ATSX_DMA_TRANSLATED, LIVE(i)))
		TH_LOG("%s", self->fn[i].bdf);
	EXPECT_EQ(0, atsx_mem_differs(mem, LIVE(i)));
}

/* Maps @ranges buffers; every function has all of them in its ATC and reaches them */
static void map_and_cache(struct __test_metadata *_metadata, struct _test_data_batch *self,
			  int ranges)
{
	for (int r = 0; r < ranges; r++) {
		ASSERT_EQ(0, vfio_mem_map(&self->space, &self->mem[r]));
		for (int i = 0; i < VFS; i++)
			cache(_metadata, self, i, &self->mem[r]);
	}
	for (int i = 0; i < VFS; i++) {
		ASSERT_LT(0, host_count(_metadata, self, i, ATSX_CNT_ATC_ENTRIES));
		self->answered[i] = host_count(_metadata, self, i, ATSX_CNT_INV_ANSWERED);
	}
}

static void make_deaf(struct _test_data_batch *self,
		      const struct _fixture_variant_batch *variant)
{
	for (int i = 0; i < VFS; i++) {
		if (is_deaf(variant, i))
			vfio_inv_policy(&self->fn[i], ATSX_INV_DROP, 0);
	}
}

/* At once after the unmap, and not by way of the host, which takes its time */
static void note_received(struct _test_data_batch *self)
{
	for (int i = 0; i < VFS; i++)
		self->received[i] = atsx_regs_counter(self->fn[i].regs, ATSX_CNT_INV_RECEIVED);
}

/* The memory has its next owner's pattern; every function tries to write to it */
static void expect_no_stale_write(struct __test_metadata *_metadata,
				  struct _test_data_batch *self,
				  const struct _fixture_variant_batch *variant, int ranges)
{
	size_t overwritten = 0;

	for (int r = 0; r < ranges; r++) {
		struct atsx_mem *mem = &self->mem[r];

		for (int i = 0; i < VFS; i++) {
			int ret;

			atsx_mem_fill(mem, OWNER);
			ret = command(&self->fn[i], mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED,
				      STALE);
			overwritten += atsx_mem_differs(mem, OWNER);
			/* Refused, maybe by a cleared ATS Enable; or nothing to refuse */
			if (is_deaf(variant, i)) {
				EXPECT_TRUE(ret == ATSX_RESULT_REJECTED ||
					    ret == ATSX_RESULT_DISABLED)
					TH_LOG("%s: range %d: %d", self->fn[i].bdf, r, ret);
			} else {
				EXPECT_EQ(ATSX_RESULT_NO_ENTRY, ret)
					TH_LOG("%s: range %d", self->fn[i].bdf, r);
			}
		}
	}
	ksft_print_msg("stale: %zu of %zu words overwritten\n", overwritten,
		       ranges * VFS * WORDS);
	EXPECT_EQ(0, overwritten);
}

/* At most one time-out more than there are culprits; at least one if there are any */
static void expect_bounded(struct __test_metadata *_metadata, struct _test_data_batch *self,
			   int ms)
{
	EXPECT_LE(self->culprits ? HW_TIMEOUT - EARLY : 0, ms);
	EXPECT_GE((self->culprits + 1) * HW_TIMEOUT + SLACK, ms);
}

/* A line for each of them, whatever came afterwards */
static void expect_bounded_log(struct __test_metadata *_metadata,
			       struct _test_data_batch *self)
{
	EXPECT_GE(self->culprits ? self->culprits + 1 : 0, klog_count(&self->log, FAULTS))
		klog_show(&self->log, FAULTS);
}

/*
 * All that was taken away has left the ATCs of those that answer, and they go on as
 * before. The others get no translation, use none, and are quarantined.
 */
static void expect_judged(struct __test_metadata *_metadata, struct _test_data_batch *self,
			  const struct _fixture_variant_batch *variant)
{
	struct atsx_mem *later = &self->mem[LATER];
	int ms;

	for (int i = 0; i < VFS; i++) {
		if (is_deaf(variant, i))
			continue;
		EXPECT_EQ(0, host_count(_metadata, self, i, ATSX_CNT_ATC_ENTRIES))
			TH_LOG("%s", self->fn[i].bdf);
		EXPECT_LT(self->answered[i],
			  host_count(_metadata, self, i, ATSX_CNT_INV_ANSWERED))
			TH_LOG("%s", self->fn[i].bdf);
	}

	ASSERT_EQ(0, vfio_mem_map(&self->space, later));
	for (int i = 0; i < VFS; i++) {
		int granted = atsx_fn_granted(&self->fn[i], later, GRANT_REQUEST);

		ksft_print_msg("fenced: %d %s%s\n", !granted, self->fn[i].bdf,
			       is_deaf(variant, i) ? ", deaf" : "");
		EXPECT_EQ(is_deaf(variant, i) ? 0 : GRANT_REQUEST, granted);
		/* Without a fence no quarantine is awaited */
		if (!is_deaf(variant, i) || granted)
			continue;
		EXPECT_EQ(0, atsx_fn_wait_refused(&self->fn[i], later, GRANT_UNTRANSLATED,
						  QUARANTINE_MS))
			TH_LOG("%s is not quarantined", self->fn[i].bdf);
	}
	/* After the others' quarantine */
	for (int i = 0; i < VFS; i++) {
		if (is_deaf(variant, i))
			continue;
		EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn[i], later, GRANT_ALL))
			TH_LOG("%s", self->fn[i].bdf);
		EXPECT_EQ(ATSX_RESULT_OK, command(&self->fn[i], later, ATSX_CMD_WRITE,
						  ATSX_DMA_TRANSLATED, LIVE(i)))
			TH_LOG("%s", self->fn[i].bdf);
		EXPECT_EQ(0, atsx_mem_differs(later, LIVE(i)));
	}

	/* Only those that answer hear of the next unmap, and the others of nothing */
	ASSERT_EQ(0, vfio_mem_unmap(&self->space, later));
	ms = later->buf.duration_ns / 1000000;
	ksft_print_msg("unmap 2: %d ms\n", ms);
	EXPECT_GT(HW_TIMEOUT, ms);
	for (int i = 0; i < VFS; i++) {
		uint64_t now = host_count(_metadata, self, i, ATSX_CNT_INV_RECEIVED);

		if (is_deaf(variant, i)) {
			EXPECT_EQ(self->received[i], now)
				TH_LOG("%s", self->fn[i].bdf);
		} else {
			EXPECT_LT(self->received[i], now)
				TH_LOG("%s", self->fn[i].bdf);
			EXPECT_EQ(0, host_count(_metadata, self, i, ATSX_CNT_ATC_ENTRIES))
				TH_LOG("%s", self->fn[i].bdf);
		}
	}
}

/*
 * One unmap of one range (D6, D8, E3, E4). With nobody deaf this shows what the
 * other variants rest on, and passes on unpatched kernels.
 */
TEST_F_TIMEOUT(batch, unmap, TIMEOUT)
{
	int ms;

	map_and_cache(_metadata, self, 1);
	make_deaf(self, variant);
	ASSERT_EQ(0, vfio_mem_unmap(&self->space, &self->mem[0]));
	note_received(self);
	ms = self->mem[0].buf.duration_ns / 1000000;
	ksft_print_msg("unmap 1: %d ms\n", ms);

	expect_no_stale_write(_metadata, self, variant, 1);
	expect_bounded(_metadata, self, ms);
	expect_judged(_metadata, self, variant);
	expect_bounded_log(_metadata, self);
}

/*
 * One unmap of several ranges: the first of them convicts, and for those that
 * answer nothing of any range is left (D6, E2).
 */
TEST_F_TIMEOUT(batch, ranges, TIMEOUT)
{
	uint64_t duration_ns;
	int ms;

	map_and_cache(_metadata, self, RANGES);
	make_deaf(self, variant);
	ASSERT_EQ(0, vfio_unmap_all(&self->space, &duration_ns));
	note_received(self);
	ms = duration_ns / 1000000;
	ksft_print_msg("unmap 1: %d ms\n", ms);

	expect_no_stale_write(_metadata, self, variant, RANGES);
	expect_bounded(_metadata, self, ms);
	expect_judged(_metadata, self, variant);
	expect_bounded_log(_metadata, self);
}

TEST_HARNESS_MAIN
