/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What more than one file of tests expects. Include it after lib.h and
 * kselftest_harness.h.
 */
#ifndef IOMMU_ATS_EXPECT_H
#define IOMMU_ATS_EXPECT_H

#include <sys/mman.h>

/* Maps a buffer for the function, which translates, writes, and hears of the unmap */
static inline void expect_works(struct __test_metadata *_metadata, struct atsx_fn *fn)
{
	const uint64_t old = 0x0101010101010101ull, new = 0x2222222222222222ull;
	const size_t size = 2 * 4096;
	struct atsx_mem mem;

	ASSERT_EQ(0, atsx_mem_alloc(fn->fd, &mem, size));
	ASSERT_EQ(0, atsx_mem_map(fn->fd, &mem));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fn->fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
	EXPECT_EQ(size, cached(fn->fd, &mem));
	atsx_mem_fill(&mem, old);
	EXPECT_EQ(ATSX_RESULT_OK, dma(fn->fd, &mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, new));
	EXPECT_EQ(0, atsx_mem_differs(&mem, new));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fn->fd, &mem, ATSX_CMD_WRITE, 0, old));
	EXPECT_EQ(0, atsx_mem_differs(&mem, old));
	ASSERT_EQ(0, atsx_mem_unmap(fn->fd, &mem));
	EXPECT_EQ(0, cached(fn->fd, &mem));
	EXPECT_EQ(0, atsx_fn_granted(fn, &mem, GRANT_ALL));
	munmap(mem.p, size);
	ASSERT_EQ(0, atsx_ioctl(fn->fd, ATS_EXERCISER_BUF_FREE, &mem.buf));
}

/* What sysfs says of why the function is blocked */
static inline void expect_blocked(struct __test_metadata *_metadata, const char *bdf,
				  const char *why)
{
	char blocked[32] = "";

	ASSERT_EQ(0, sysfs_read(blocked, sizeof(blocked),
				"/sys/bus/pci/devices/%s/iommu_blocked", bdf));
	EXPECT_STREQ(why, blocked);
}

#endif /* IOMMU_ATS_EXPECT_H */
