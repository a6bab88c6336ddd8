// SPDX-License-Identifier: GPL-2.0
/*
 * What a reset of a function means for its translations. The rules:
 *
 *   B4  after a failed reset the function stays blocked and the attach of another
 *       domain is refused; a later reset that succeeds restores everything
 *   B6  after a reset that succeeds, the IOMMU grants translations again when the
 *       function has answered an invalidation of its whole ATC, and not before
 *
 * A case needs the kernel command line iommu.strict=1, VT-d also intel_iommu=on, an
 * ats-exerciser with two VFs or more, and an IOMMU that waits 400 ms for an answer:
 * arm-smmuv3.atc-timeout=400, intel-iommu.device-iotlb-timeout=400.
 *
 * The kernel gives a function up 66 to 70 s after its reset.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "kselftest_harness.h"

#define TIMEOUT		200

/* Of the hardware, in ms; what takes less than half of it has not waited for it */
#define HW_TIMEOUT	400
#define AT_ONCE		(HW_TIMEOUT / 2)

/* A function that is back so late is back after the kernel has given up */
#define LATE_MS		75000
#define LATE_SLACK_MS	10000

#define SIZE		(2 * 4096)
#define OLD		0x0101010101010101ull
#define NEW		0x2222222222222222ull

FIXTURE(reset) {
	char pf[BDF_SIZE];
	struct atsx_fn fn;
	struct atsx_mem mem;
	struct klog log;
	int host;
};

FIXTURE_SETUP(reset)
{
	char driver[32];
	char type[16];

	if (atsx_bdf(0, self->pf))
		SKIP(return, "no ats-exerciser on the PCI bus");
	if (pci_driver(self->pf, driver, sizeof(driver)) || strcmp(driver, ATSX_DRIVER))
		SKIP(return, "%s is not bound to " ATSX_DRIVER, self->pf);
	if (iommu_type(self->pf, type, sizeof(type)) || strcmp(type, "DMA"))
		SKIP(return, "%s has no strict DMA domain: needs an IOMMU and iommu.strict=1",
		     self->pf);
	if (!iommu_offers_ats())
		SKIP(return, "the IOMMU lacks what Linux wants for ATS");
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(reset)
{
	close(self->fn.fd);
	if (pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

static uint64_t host_count(struct __test_metadata *_metadata, struct _test_data_reset *self,
			   unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, self->fn.index, host_counter[counter], &value));
	return value;
}

/* Opens function @index, with FLR for its only reset method */
static void use(struct __test_metadata *_metadata, struct _test_data_reset *self,
		unsigned int index)
{
	ASSERT_EQ(0, atsx_fn_open(&self->fn, index));
	ASSERT_EQ(0, sysfs_write("flr", "/sys/bus/pci/devices/%s/reset_method", self->fn.bdf));
}

/* All that the function is later kept from works now; its ATC has the buffer */
static void fill(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	int fd = self->fn.fd;

	ASSERT_EQ(0, atsx_mem_alloc(fd, &self->mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fd, &self->mem));
	ASSERT_EQ(ATSX_RESULT_OK, dma(fd, &self->mem, ATSX_CMD_TRANSLATE, 0, 0));
	ASSERT_EQ(SIZE, cached(fd, &self->mem));
	atsx_mem_fill(&self->mem, OLD);
	ASSERT_EQ(ATSX_RESULT_OK, dma(fd, &self->mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, NEW));
	ASSERT_EQ(0, atsx_mem_differs(&self->mem, NEW));
	ASSERT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
}

/* 0 or -errno, after exactly one reset of the function */
static int reset(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	uint64_t resets = host_count(_metadata, self, ATSX_CNT_RESETS);
	int ret = sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->fn.bdf);

	EXPECT_EQ(resets + 1, host_count(_metadata, self, ATSX_CNT_RESETS));
	return ret;
}

/* The IOMMU grants the function nothing of @what */
static void expect_refused(struct __test_metadata *_metadata, struct _test_data_reset *self,
			   int what)
{
	int granted = atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL);

	ASSERT_LE(0, granted);
	EXPECT_EQ(0, granted & what);
	ksft_print_msg("fenced: %d translation requests %s, untranslated DMA %s\n",
		       !(granted & GRANT_ATS),
		       granted & GRANT_REQUEST ? "granted" : "refused",
		       granted & GRANT_UNTRANSLATED ? "granted" : "refused");
}

/* A reset with nothing in its way brings the function's mappings back */
static void expect_recovered(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	ASSERT_EQ(0, atsx_fn_policy(&self->fn, ATSX_INV_ANSWER, 0, ATSX_RESET_CLEAR, 0));
	EXPECT_EQ(0, reset(_metadata, self));
	EXPECT_EQ(PCI_ATS_ENABLE, pci_ats_ctrl(self->fn.bdf));
	/* Requested first: nothing is in the ATC */
	EXPECT_EQ(GRANT_REQUEST, atsx_fn_granted(&self->fn, &self->mem, GRANT_REQUEST));
	EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
}

/* The function comes back, by itself and too late (B4) */
TEST_F_TIMEOUT(reset, late_failure, TIMEOUT)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	uint64_t end;
	int command;

	use(_metadata, self, 1);
	fill(_metadata, self);
	ASSERT_EQ(0, atsx_fn_policy(&self->fn, ATSX_INV_ANSWER, 0, ATSX_RESET_LATE, LATE_MS));
	end = raw_ms() + LATE_MS + LATE_SLACK_MS;
	EXPECT_GT(0, reset(_metadata, self));
	EXPECT_EQ(PCI_COMMAND_ABSENT, pci_command(self->fn.bdf));

	while ((command = pci_command(self->fn.bdf)) == PCI_COMMAND_ABSENT) {
		ASSERT_GT(end, raw_ms());
		nanosleep(&pause, NULL);
	}
	/* Nobody was there to restore it */
	ASSERT_EQ(0, pci_set_command(self->fn.bdf, command | PCI_COMMAND_MEMORY |
				     PCI_COMMAND_MASTER));
	ASSERT_EQ(ATSX_ID_MAGIC, self->fn.regs[ATSX_ID / 4]);
	expect_refused(_metadata, self, GRANT_ALL);
	expect_recovered(_metadata, self);
}

/* After a failed reset no other domain can be attached (B4) */
TEST_F_TIMEOUT(reset, refused, TIMEOUT)
{
	char type[16];

	use(_metadata, self, 1);
	/* It can be while nothing is wrong */
	ASSERT_EQ(0, pci_unbind(self->fn.bdf));
	ASSERT_EQ(0, iommu_set_type(self->fn.bdf, "identity"));
	ASSERT_EQ(0, iommu_set_type(self->fn.bdf, "DMA"));
	ASSERT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	close(self->fn.fd);

	use(_metadata, self, 1);
	ASSERT_EQ(0, atsx_fn_policy(&self->fn, ATSX_INV_ANSWER, 0, ATSX_RESET_FAIL, 0));
	EXPECT_GT(0, reset(_metadata, self));
	ASSERT_EQ(0, pci_unbind(self->fn.bdf));
	EXPECT_EQ(-EBUSY, iommu_set_type(self->fn.bdf, "identity"));
	ASSERT_EQ(0, iommu_type(self->fn.bdf, type, sizeof(type)));
	EXPECT_STREQ("DMA", type);
}

/*
 * The reset succeeds, and the function ignores invalidations as it did before. It
 * gets no translation, and nothing waits for it any more (B6).
 */
TEST_F_TIMEOUT(reset, still_deaf, TIMEOUT)
{
	struct ats_exerciser_dma stale = {
		.cmd = ATSX_CMD_WRITE, .flags = ATSX_DMA_TRANSLATED, .len = SIZE, .pattern = NEW,
	};
	uint64_t granted, received;
	int ms;

	use(_metadata, self, 1);
	fill(_metadata, self);
	stale.addr = self->mem.buf.iova;
	granted = host_count(_metadata, self, ATSX_CNT_TR_GRANTED);
	ASSERT_EQ(0, atsx_fn_policy(&self->fn, ATSX_INV_DROP, 0, ATSX_RESET_KEEP_ALL, 0));
	EXPECT_EQ(0, reset(_metadata, self));
	expect_refused(_metadata, self, GRANT_ATS);
	EXPECT_EQ(granted, host_count(_metadata, self, ATSX_CNT_TR_GRANTED));

	received = host_count(_metadata, self, ATSX_CNT_INV_RECEIVED);
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &self->mem));
	ms = self->mem.buf.duration_ns / 1000000;
	ksft_print_msg("unmap 1: %d ms\n", ms);
	EXPECT_GT(AT_ONCE, ms);
	EXPECT_EQ(received, host_count(_metadata, self, ATSX_CNT_INV_RECEIVED));
	atsx_mem_fill(&self->mem, OLD);
	EXPECT_NE(ATSX_RESULT_OK, atsx_regs_dma(self->fn.regs, &stale));
	EXPECT_EQ(0, atsx_mem_differs(&self->mem, OLD));

	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
	expect_refused(_metadata, self, GRANT_ATS);
	expect_recovered(_metadata, self);
}

/* The reset of a function with nothing wrong; unpatched kernels do this as well */
TEST_F_TIMEOUT(reset, healthy, TIMEOUT)
{
	for (int index = 1; index >= 0; index--) {
		int fd;

		ASSERT_EQ(0, pci_set_numvfs(self->pf, 2 * index));
		use(_metadata, self, index);
		fd = self->fn.fd;
		fill(_metadata, self);
		EXPECT_EQ(0, reset(_metadata, self));
		EXPECT_EQ(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));
		EXPECT_EQ(PCI_ATS_ENABLE, pci_ats_ctrl(self->fn.bdf));

		EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &self->mem, ATSX_CMD_TRANSLATE, 0, 0));
		EXPECT_EQ(SIZE, cached(fd, &self->mem));
		EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &self->mem, ATSX_CMD_WRITE,
					      ATSX_DMA_TRANSLATED, OLD));
		EXPECT_EQ(0, atsx_mem_differs(&self->mem, OLD));
		EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &self->mem, ATSX_CMD_WRITE, 0, NEW));
		EXPECT_EQ(0, atsx_mem_differs(&self->mem, NEW));
		ASSERT_EQ(0, atsx_mem_unmap(fd, &self->mem));
		EXPECT_EQ(0, cached(fd, &self->mem));
		EXPECT_EQ(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));
		close(fd);
	}
	EXPECT_EQ(0, klog_count(&self->log, KLOG_TROUBLE))
		klog_show(&self->log, KLOG_TROUBLE);
}

TEST_HARNESS_MAIN
