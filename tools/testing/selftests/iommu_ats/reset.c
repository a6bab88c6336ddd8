// SPDX-License-Identifier: GPL-2.0
/*
 * What a reset of a function means for its translations. The rules:
 *
 *   B1  to find out which methods of reset a function has changes nothing for it
 *   B2  a device-specific reset whose FLR failed has failed
 *   B4  after a failed reset the function stays blocked and the attach of another
 *       domain is refused; a later reset that succeeds restores everything
 *   B5  a method that turns out to be impossible is no failed reset: it leaves a
 *       healthy function healthy and a blocked one blocked
 *   B6  after a reset that succeeds, the IOMMU grants translations again when the
 *       function has answered an invalidation of its whole ATC, and not before
 *
 * A case needs the kernel command line iommu.strict=1, VT-d also intel_iommu=on, and
 * an ats-exerciser. What else the machine has to be stands at the cases: VFs or a PF
 * that is alone on its bus (vfs=0), a PF with the IDs of one whose reset the kernel
 * knows to be special, and 400 ms for which the IOMMU waits for an answer:
 * arm-smmuv3.atc-timeout=400, intel-iommu.device-iotlb-timeout=400.
 *
 * The kernel gives a function up 66 to 70 s after its reset.
 */

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Rounds of all names of methods, while the function does DMA */
#define PROBINGS	40

/* The one that firmware takes for the order to fail, see acpi-reset.asl */
#define INTERRUPT_LINE_FAIL	0xee

FIXTURE(reset) {
	char pf[BDF_SIZE];
	bool vfs;
	struct atsx_fn fn;
	struct atsx_mem mem;
	struct atsx_mem unmapped;
	struct klog log;
	int host;
};

FIXTURE_SETUP(reset)
{
	const char *why;

	why = atsx_unfit(self->pf, true);
	if (why)
		SKIP(return, "%s", why);
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(reset)
{
	fail_function_off();
	close(self->fn.fd);
	if (self->vfs && pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

static void set_vfs(struct __test_metadata *_metadata, struct _test_data_reset *self,
		    unsigned int num)
{
	ASSERT_EQ(0, pci_set_numvfs(self->pf, num));
	self->vfs = num;
}

static uint64_t host_count(struct __test_metadata *_metadata, struct _test_data_reset *self,
			   unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, self->fn.index, host_counter[counter], &value));
	return value;
}

/* The kernel tries out each of @methods, whose names are separated by blanks */
static int set_methods(struct _test_data_reset *self, const char *methods)
{
	return sysfs_write(methods, "/sys/bus/pci/devices/%s/reset_method", self->fn.bdf);
}

/* Opens function @index, with @methods for its methods of reset */
static void use(struct __test_metadata *_metadata, struct _test_data_reset *self,
		unsigned int index, const char *methods)
{
	if (index)
		set_vfs(_metadata, self, 2);
	ASSERT_EQ(0, atsx_fn_open(&self->fn, index));
	ASSERT_EQ(0, set_methods(self, methods));
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

/* 0 or -errno; the function was in fact reset @times times */
static int resets(struct __test_metadata *_metadata, struct _test_data_reset *self,
		  unsigned int times)
{
	uint64_t before = host_count(_metadata, self, ATSX_CNT_RESETS);
	char methods[64];
	int ret;

	EXPECT_EQ(0, sysfs_read(methods, sizeof(methods),
				"/sys/bus/pci/devices/%s/reset_method", self->fn.bdf));
	ret = sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->fn.bdf);
	EXPECT_EQ(before + times, host_count(_metadata, self, ATSX_CNT_RESETS));
	ksft_print_msg("reset by %s: %d\n", methods, ret);
	return ret;
}

static int reset(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	return resets(_metadata, self, 1);
}

/* Lines that say so of the function since klog_open() or klog_mark() */
static int blocked_lines(struct _test_data_reset *self)
{
	char regex[64];

	snprintf(regex, sizeof(regex), "%s: .*stays blocked", self->fn.bdf);
	return klog_count(&self->log, regex);
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

/* The mapping from before is there, to be requested anew: nothing is in the ATC */
static void expect_fresh(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	EXPECT_EQ(PCI_ATS_ENABLE, pci_ats_ctrl(self->fn.bdf));
	EXPECT_EQ(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));
	EXPECT_EQ(GRANT_REQUEST, atsx_fn_granted(&self->fn, &self->mem, GRANT_REQUEST));
	EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
}

/* A reset with nothing in its way brings the function's mappings back */
static void expect_recovered(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	ASSERT_EQ(0, atsx_fn_policy(&self->fn, ATSX_INV_ANSWER, 0, ATSX_RESET_CLEAR, 0));
	EXPECT_EQ(0, reset(_metadata, self));
	expect_fresh(_metadata, self);
}

/* The mapping is good for all DMA, and its end reaches the ATC */
static void expect_works(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	struct atsx_mem *mem = &self->mem;
	int fd = self->fn.fd;

	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_TRANSLATE, 0, 0));
	EXPECT_EQ(SIZE, cached(fd, mem));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, OLD));
	EXPECT_EQ(0, atsx_mem_differs(mem, OLD));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_WRITE, 0, NEW));
	EXPECT_EQ(0, atsx_mem_differs(mem, NEW));
	ASSERT_EQ(0, atsx_mem_unmap(fd, mem));
	EXPECT_EQ(0, cached(fd, mem));
	EXPECT_EQ(0, host_count(_metadata, self, ATSX_CNT_ATC_ENTRIES));
}

/* Other domains can be attached, which they cannot while anything is blocked */
static void expect_attaches(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	EXPECT_EQ(0, iommu_set_type(self->fn.bdf, "identity"));
	EXPECT_EQ(0, iommu_set_type(self->fn.bdf, "DMA"));
}

static void expect_silent(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	EXPECT_EQ(0, klog_count(&self->log, KLOG_TROUBLE))
		klog_show(&self->log, KLOG_TROUBLE);
}

/* Of the configuration header, which user space may read and write */
#define BARS		0x10
#define BARS_SIZE	24
#define INTERRUPT_LINE	0x3c

static int header(struct _test_data_reset *self, int flags, int pos, void *buf, size_t size)
{
	char path[64];
	ssize_t done;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", self->fn.bdf);
	fd = open(path, flags);
	if (fd < 0)
		return -errno;
	done = flags == O_RDONLY ? pread(fd, buf, size, pos) : pwrite(fd, buf, size, pos);
	close(fd);
	return done == (ssize_t)size ? 0 : -EIO;
}

/* The reset fails, and then the function comes back by itself */
static void fail_late(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	char bars[BARS_SIZE];
	uint64_t end;
	int command;

	ASSERT_EQ(0, header(self, O_RDONLY, BARS, bars, BARS_SIZE));
	ASSERT_EQ(0, atsx_fn_policy(&self->fn, ATSX_INV_ANSWER, 0, ATSX_RESET_LATE, LATE_MS));
	end = raw_ms() + LATE_MS + LATE_SLACK_MS;
	EXPECT_GT(0, reset(_metadata, self));
	EXPECT_EQ(PCI_COMMAND_ABSENT, pci_command(self->fn.bdf));

	while ((command = pci_command(self->fn.bdf)) == PCI_COMMAND_ABSENT) {
		ASSERT_GT(end, raw_ms());
		nanosleep(&pause, NULL);
	}
	/* Nobody was there to restore it */
	ASSERT_EQ(0, header(self, O_WRONLY, BARS, bars, BARS_SIZE));
	ASSERT_EQ(0, pci_set_command(self->fn.bdf, command | PCI_COMMAND_MEMORY |
				     PCI_COMMAND_MASTER));
	ASSERT_EQ(ATSX_ID_MAGIC, self->fn.regs[ATSX_ID / 4]);
	expect_refused(_metadata, self, GRANT_ALL);
}

/* The function comes back, by itself and too late (B4) */
TEST_F_TIMEOUT(reset, late_failure, TIMEOUT)
{
	use(_metadata, self, 1, "flr");
	fill(_metadata, self);
	fail_late(_metadata, self);
	EXPECT_EQ(1, blocked_lines(self));
	/* By another method */
	ASSERT_EQ(0, set_methods(self, "pm"));
	expect_recovered(_metadata, self);
}

/*
 * After the FLR of a PF has failed the next method is tried, and is impossible with VFs on
 * the bus. They have been reset with the PF all the same (B5, B8).
 */
TEST_F_TIMEOUT(reset, next_method, TIMEOUT)
{
	char vf[BDF_SIZE], blocked[32] = "";

	use(_metadata, self, 0, "flr bus");
	set_vfs(_metadata, self, 1);
	ASSERT_EQ(0, pci_virtfn(self->pf, 0, vf));
	fill(_metadata, self);
	fail_late(_metadata, self);
	EXPECT_EQ(0, sysfs_read(blocked, sizeof(blocked), "/sys/bus/pci/devices/%s/iommu_blocked",
				vf));
	EXPECT_STREQ("reset-failed", blocked);
}

/*
 * The same by way of a device-specific reset, which has to pass on that its FLR
 * failed (B2). Needs a PF with the IDs of such a one.
 */
TEST_F_TIMEOUT(reset, specific_late, TIMEOUT)
{
	if (!getenv("vm_ids"))
		SKIP(return, "the PF has its own IDs: no device-specific reset");
	use(_metadata, self, 0, "device_specific");
	fill(_metadata, self);
	fail_late(_metadata, self);
	EXPECT_EQ(1, blocked_lines(self));
	expect_recovered(_metadata, self);
}

/* After a failed reset no other domain can be attached (B4) */
TEST_F_TIMEOUT(reset, refused, TIMEOUT)
{
	char type[16];

	use(_metadata, self, 1, "flr");
	/* It can be while nothing is wrong */
	ASSERT_EQ(0, pci_unbind(self->fn.bdf));
	ASSERT_EQ(0, iommu_set_type(self->fn.bdf, "identity"));
	ASSERT_EQ(0, iommu_set_type(self->fn.bdf, "DMA"));
	ASSERT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	close(self->fn.fd);

	use(_metadata, self, 1, "flr");
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

	use(_metadata, self, 1, "flr");
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
		use(_metadata, self, index, "flr");
		fill(_metadata, self);
		EXPECT_EQ(0, reset(_metadata, self));
		expect_fresh(_metadata, self);
		expect_works(_metadata, self);
		close(self->fn.fd);
		set_vfs(_metadata, self, 0);
	}
	expect_silent(_metadata, self);
}

/* All methods that the PF has by default, as the machine at hand should have them */
static void default_methods(struct __test_metadata *_metadata, struct _test_data_reset *self,
			    char *methods, size_t size)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "%s%sflr pm bus",
		 getenv("vm_ids") ? "device_specific " : "",
		 getenv("vm_acpi_reset") ? "acpi " : "");
	ASSERT_EQ(0, sysfs_read(methods, size, "/sys/bus/pci/devices/%s/reset_method",
				self->fn.bdf));
	ASSERT_STREQ(expected, methods);
}

/*
 * Each method of reset, of a PF that is alone. Afterwards there is no trace of it: a
 * device-specific reset has another one inside (B4). Unpatched kernels do this as well.
 */
TEST_F_TIMEOUT(reset, methods, TIMEOUT)
{
	char methods[64], *method, *rest;

	use(_metadata, self, 0, "default");
	default_methods(_metadata, self, methods, sizeof(methods));
	close(self->fn.fd);

	for (method = strtok_r(methods, " ", &rest); method; method = strtok_r(NULL, " ", &rest)) {
		use(_metadata, self, 0, method);
		fill(_metadata, self);
		EXPECT_EQ(0, reset(_metadata, self));
		expect_fresh(_metadata, self);
		expect_works(_metadata, self);
		close(self->fn.fd);

		ASSERT_EQ(0, pci_unbind(self->fn.bdf));
		expect_attaches(_metadata, self);
		ASSERT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));
	}
	EXPECT_EQ(0, klog_count(&self->log, "blocked"))
		klog_show(&self->log, "blocked");
	expect_silent(_metadata, self);
}

/* DMA of all kinds, until it is over; by registers, which the driver is not aware of */
struct stream {
	struct atsx_fn *fn;
	const struct atsx_mem *kept;	/* in the ATC from the beginning */
	const struct atsx_mem *mem;	/* requested again and again */
	bool over;

	int error;
	int commands;
	int refused;
	int disabled;			/* ATS Enable found clear */
};

static void stream_command(struct stream *s, const struct atsx_mem *mem, uint32_t cmd,
			   uint32_t flags)
{
	struct ats_exerciser_dma arg = {
		.cmd = cmd, .flags = flags, .addr = mem->buf.iova, .len = SIZE, .pattern = NEW,
	};
	int ret = atsx_regs_dma(s->fn->regs, &arg);

	if (ret < 0)
		s->error = ret;
	s->refused += ret > 0;
	__atomic_add_fetch(&s->commands, 1, __ATOMIC_RELEASE);
}

static void *stream_thread(void *data)
{
	struct stream *s = data;

	while (!s->error && !__atomic_load_n(&s->over, __ATOMIC_ACQUIRE)) {
		stream_command(s, s->mem, ATSX_CMD_TRANSLATE, 0);
		stream_command(s, s->mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED);
		stream_command(s, s->kept, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED);
		stream_command(s, s->kept, ATSX_CMD_WRITE, 0);
		s->disabled += pci_ats_ctrl(s->fn->bdf) != PCI_ATS_ENABLE;
	}
	return NULL;
}

/*
 * What methods of reset there are can be found out, and said, with the PF at work: it
 * is refused nothing, and loses nothing of what it has in its ATC (B1). Needs a PF that
 * is alone, with the IDs of one with a device-specific reset.
 */
TEST_F_TIMEOUT(reset, probe, TIMEOUT)
{
	static const unsigned int kept[] = {
		ATSX_CNT_RESETS, ATSX_CNT_TR_REFUSED, ATSX_CNT_TDMA_REJECTED,
		ATSX_CNT_TDMA_NO_ENTRY, ATSX_CNT_UDMA_REJECTED, ATSX_CNT_INV_RECEIVED,
	};
	static const char *const unsupported[] = { "af_flr", "cxl_bus" };
	uint64_t before[ARRAY_SIZE(kept)];
	char all[64], methods[64], is[64];
	struct atsx_mem mem;
	struct stream s = { .fn = &self->fn, .kept = &self->mem, .mem = &mem };
	pthread_t thread;
	int writes = 0;

	use(_metadata, self, 0, "default");
	default_methods(_metadata, self, all, sizeof(all));
	fill(_metadata, self);
	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &mem));
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		before[i] = host_count(_metadata, self, kept[i]);
	ASSERT_EQ(0, pthread_create(&thread, NULL, stream_thread, &s));

	for (int round = 0; round < PROBINGS; round++) {
		int commands = __atomic_load_n(&s.commands, __ATOMIC_ACQUIRE);
		char *method, *rest;

		snprintf(methods, sizeof(methods), "%s", all);
		for (method = strtok_r(methods, " ", &rest); method;
		     method = strtok_r(NULL, " ", &rest)) {
			EXPECT_EQ(0, set_methods(self, method));
			EXPECT_EQ(0, sysfs_read(is, sizeof(is),
						"/sys/bus/pci/devices/%s/reset_method",
						self->fn.bdf));
			EXPECT_STREQ(method, is);
			writes++;
		}
		EXPECT_EQ(-EINVAL, set_methods(self, unsupported[round % 2]));
		EXPECT_EQ(0, set_methods(self, round % 2 ? "default" : all));
		writes += 2;
		default_methods(_metadata, self, is, sizeof(is));

		/* Not faster than the function, which may have to wait for the host */
		while (!s.error && __atomic_load_n(&s.commands, __ATOMIC_ACQUIRE) == commands)
			sched_yield();
	}
	__atomic_store_n(&s.over, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));

	ksft_print_msg("probing: %d writes, %d of %d commands refused, ATS Enable clear %d times\n",
		       writes, s.refused, s.commands, s.disabled);
	EXPECT_EQ(0, s.error);
	EXPECT_EQ(0, s.refused);
	EXPECT_EQ(0, s.disabled);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		EXPECT_EQ(before[i], host_count(_metadata, self, kept[i]))
			TH_LOG("the host counts %s", host_counter[kept[i]]);
	}
	EXPECT_EQ(SIZE, cached(self->fn.fd, &self->mem));
	expect_silent(_metadata, self);
}

/* The function stays blocked, which has been said once (B4) */
static void expect_blocked(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	expect_refused(_metadata, self, GRANT_ALL);
	EXPECT_EQ(1, blocked_lines(self));
}

/*
 * Resets of the hotplug slot fail. With -ENOTTY the kernel goes on to reset the bus,
 * but not if there is a VF on it as well.
 */
static void fail_slot_reset(struct __test_metadata *_metadata, struct _test_data_reset *self,
			    int err)
{
	ASSERT_EQ(0, fail_function_off());
	ASSERT_EQ(0, fail_function("pci_bridge_secondary_bus_reset", err));
	set_vfs(_metadata, self, err == -ENOTTY);
}

static void fail_no_more(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	ASSERT_EQ(0, fail_function_off());
	set_vfs(_metadata, self, 0);
}

/*
 * Mappings change while the function is blocked. It is sent nothing, and sees the
 * change when it is not blocked any more.
 */
static void remap_blocked(struct __test_metadata *_metadata, struct _test_data_reset *self)
{
	uint64_t received = host_count(_metadata, self, ATSX_CNT_INV_RECEIVED);
	struct atsx_mem mem;

	ASSERT_EQ(0, atsx_mem_alloc(self->fn.fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &mem));
	ASSERT_EQ(0, atsx_mem_unmap(self->fn.fd, &self->mem));
	EXPECT_EQ(received, host_count(_metadata, self, ATSX_CNT_INV_RECEIVED));
	self->unmapped = self->mem;
	self->mem = mem;
}

/*
 * Resets by "bus" fail at once. Either error is that of a reset that was attempted:
 * with -ENOTTY the kernel tries the next method, with any other it gives up. Needs a
 * port with hotplug, and VFs.
 */
TEST_F_TIMEOUT(reset, failure, TIMEOUT)
{
	char type[16];

	use(_metadata, self, 0, "bus");
	fill(_metadata, self);
	fail_slot_reset(_metadata, self, -EIO);
	EXPECT_EQ(-EIO, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	/* What methods there are is another question */
	EXPECT_EQ(0, set_methods(self, "flr pm bus"));
	EXPECT_EQ(0, set_methods(self, "bus"));
	expect_blocked(_metadata, self);
	/* One failure after another */
	EXPECT_EQ(-EIO, resets(_metadata, self, 0));
	fail_slot_reset(_metadata, self, -ENOTTY);
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	fail_no_more(_metadata, self);
	/* By another method */
	ASSERT_EQ(0, set_methods(self, "pm"));
	expect_recovered(_metadata, self);

	klog_mark(&self->log);
	ASSERT_EQ(0, set_methods(self, "bus"));
	fail_slot_reset(_metadata, self, -ENOTTY);
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	fail_no_more(_metadata, self);
	remap_blocked(_metadata, self);
	/* By the same method */
	expect_recovered(_metadata, self);
	EXPECT_EQ(0, atsx_fn_granted(&self->fn, &self->unmapped, GRANT_ALL));

	klog_mark(&self->log);
	ASSERT_EQ(0, set_methods(self, "bus flr"));
	fail_slot_reset(_metadata, self, -ENOTTY);
	/* By the next method, in one go */
	expect_recovered(_metadata, self);
	EXPECT_GE(1, blocked_lines(self));

	klog_mark(&self->log);
	fail_slot_reset(_metadata, self, -EIO);
	EXPECT_EQ(-EIO, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	fail_no_more(_metadata, self);

	close(self->fn.fd);
	ASSERT_EQ(0, pci_unbind(self->fn.bdf));
	EXPECT_EQ(-EBUSY, iommu_set_type(self->fn.bdf, "identity"));
	ASSERT_EQ(0, iommu_type(self->fn.bdf, type, sizeof(type)));
	EXPECT_STREQ("DMA", type);
	/* Without a driver */
	EXPECT_EQ(0, reset(_metadata, self));
	expect_attaches(_metadata, self);
	EXPECT_EQ(1, blocked_lines(self));
	ASSERT_EQ(0, pci_bind(self->fn.bdf, ATSX_DRIVER));

	use(_metadata, self, 0, "flr");
	fill(_metadata, self);
	expect_works(_metadata, self);
}

/* Firmware's reset fails at once */
TEST_F_TIMEOUT(reset, acpi_failure, TIMEOUT)
{
	uint8_t line = INTERRUPT_LINE_FAIL;

	if (!getenv("vm_acpi_reset"))
		SKIP(return, "firmware has no method to reset the function");
	use(_metadata, self, 0, "acpi");
	fill(_metadata, self);
	ASSERT_EQ(0, header(self, O_WRONLY, INTERRUPT_LINE, &line, 1));
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	line = 0;
	ASSERT_EQ(0, header(self, O_WRONLY, INTERRUPT_LINE, &line, 1));
	expect_recovered(_metadata, self);

	klog_mark(&self->log);
	line = INTERRUPT_LINE_FAIL;
	ASSERT_EQ(0, header(self, O_WRONLY, INTERRUPT_LINE, &line, 1));
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	ASSERT_EQ(0, set_methods(self, "acpi flr"));
	expect_recovered(_metadata, self);
	expect_works(_metadata, self);
}

/*
 * A device-specific reset whose FLR fails has failed (B2), and one that succeeds
 * recovers the function, with another reset inside. Needs a PF with the IDs of such a
 * one.
 */
TEST_F_TIMEOUT(reset, specific_failure, TIMEOUT)
{
	if (!getenv("vm_ids"))
		SKIP(return, "the PF has its own IDs: no device-specific reset");
	use(_metadata, self, 0, "device_specific");
	fill(_metadata, self);
	ASSERT_EQ(0, fail_function("pcie_reset_flr", -EIO));
	EXPECT_EQ(-EIO, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	ASSERT_EQ(0, fail_function_off());
	expect_recovered(_metadata, self);
	expect_works(_metadata, self);
	close(self->fn.fd);

	ASSERT_EQ(0, pci_unbind(self->fn.bdf));
	expect_attaches(_metadata, self);
	EXPECT_EQ(1, blocked_lines(self));
}

/*
 * The bus is reset for a function that is alone, and then it is not alone any more:
 * nothing is attempted, and nothing changes (B5). Needs a PF with the IDs of one with a
 * device-specific reset, to have it blocked, and a port without hotplug, which would be
 * another way to reset the bus.
 */
TEST_F_TIMEOUT(reset, impossible, TIMEOUT)
{
	if (!getenv("vm_ids"))
		SKIP(return, "the PF has its own IDs: no device-specific reset");
	use(_metadata, self, 0, "bus");
	fill(_metadata, self);
	set_vfs(_metadata, self, 1);
	EXPECT_EQ(-EINVAL, set_methods(self, "bus"));
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	EXPECT_EQ(PCI_ATS_ENABLE, pci_ats_ctrl(self->fn.bdf));
	EXPECT_EQ(GRANT_REQUEST, atsx_fn_granted(&self->fn, &self->mem, GRANT_REQUEST));
	EXPECT_EQ(GRANT_ALL, atsx_fn_granted(&self->fn, &self->mem, GRANT_ALL));
	expect_works(_metadata, self);
	EXPECT_EQ(0, klog_count(&self->log, "blocked"))
		klog_show(&self->log, "blocked");
	expect_silent(_metadata, self);
	ksft_print_msg("impossible: a healthy function is healthy\n");

	ASSERT_EQ(0, atsx_mem_map(self->fn.fd, &self->mem));
	set_vfs(_metadata, self, 0);
	ASSERT_EQ(0, set_methods(self, "device_specific"));
	ASSERT_EQ(0, fail_function("pcie_reset_flr", -EIO));
	EXPECT_EQ(-EIO, resets(_metadata, self, 0));
	ASSERT_EQ(0, fail_function_off());
	ASSERT_EQ(0, set_methods(self, "bus"));
	set_vfs(_metadata, self, 1);
	EXPECT_EQ(-ENOTTY, resets(_metadata, self, 0));
	expect_blocked(_metadata, self);
	set_vfs(_metadata, self, 0);
	expect_recovered(_metadata, self);
	EXPECT_EQ(1, blocked_lines(self));
}

TEST_HARNESS_MAIN
