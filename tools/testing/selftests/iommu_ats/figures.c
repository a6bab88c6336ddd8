// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs devices that answer that one might not: nothing passes or fails here, but
 * the time of mapping and unmapping is printed, for `make bench` to compare kernels.
 *
 * Time has to count instructions: QEMU's -smp 1 -icount shift=0,sleep=off, said by
 * vm_icount=1 on the command line. The same kernel gives the same numbers then.
 *
 *	figures.<n>.iommufd	n functions in the address space of a VFIO user
 *	figures.1.driver	one function, mapped for by its driver
 *
 * It needs an exerciser with 63 VFs, and another one beside it.
 */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

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

FIXTURE(figures) {
	char pf[BDF_SIZE];
	struct vfio_space space;
	struct atsx_fn fn[MAX_FUNCTIONS];
	unsigned int opened;
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
	if (!strstr(cmdline, "vm_icount=1"))
		SKIP(return, "time is not counted in instructions");
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

TEST_F_TIMEOUT(figures, driver, TIMEOUT)
{
	struct atsx_fn fn;

	if (variant->functions > 1)
		SKIP(return, "a driver maps for its own function");
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
	atsx_fn_close(&fn);
}

TEST_HARNESS_MAIN
