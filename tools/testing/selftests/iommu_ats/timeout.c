// SPDX-License-Identifier: GPL-2.0
/*
 * One function does not answer its invalidations, and what becomes of it, of the
 * unmaps, and of the other functions behind the same IOMMU. The rules:
 *
 *   D1   whoever did not send the invalidation that timed out is not blamed for it
 *   D2   the issuer does not depend on the interrupt that reports the time-out
 *   D8   SMMUv3: the function is fenced before the unmap returns, which takes one
 *        time-out of the hardware (D8a)
 *   D10  a fenced function is sent no further invalidation
 *   D11  no unmap returns before the hardware has reported or the function answered
 *   E1   VT-d: a function that does not answer keeps no CPU in a loop
 *   E2   VT-d: whoever waited in vain because of another function tries again
 *   E3   VT-d: the culprit is the function that the hardware names, or that does not
 *        answer when it is tried alone
 *   E4   VT-d: as D8, and E5 as D10
 *   C3   the core then blocks all its DMA: quarantine
 *
 * A case needs the kernel command line iommu.strict=1, VT-d also intel_iommu=on, an
 * ats-exerciser with two VFs or more, and this time-out of the IOMMU, in ms:
 *
 *   software     arm-smmuv3.atc-timeout=3000, longer than the driver polls, or what
 *                the environment variable vm_atc_timeout says
 *   answer_late  arm-smmuv3.atc-timeout=0, intel-iommu.device-iotlb-timeout=0: none
 *   the others   arm-smmuv3.atc-timeout=400, intel-iommu.device-iotlb-timeout=400
 *
 * The unmaps run where the variant says. Linux routes the SMMU's interrupts to
 * CPU 0 unless told otherwise, and whoever waits for the SMMU there keeps them off.
 */

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"
#include "kselftest_harness.h"

#define TIMEOUT		120

/* Of the hardware, in ms */
#define HW_TIMEOUT	400
#define SOFTWARE	3000
/* The longest delay where the hardware knows none */
#define DELAY		2500
/*
 * What a busy host may add to so many ms. To tell one time-out from two is left to kernels
 * that do not check everything, which takes long.
 */
#define SLACK(ms)	((ms) * (getenv("vm_slow") ? 12 : 4) / 8)
/* Durations are read in whole ms */
#define EARLY		1

/* Slots in VT-d's invalidation queue, and an answer so late that it is waited for */
#define QI_SLOTS	256
#define SLOT_MS		8

/* Far from any time-out */
#define AT_ONCE		(HW_TIMEOUT / 2)

/* How long quarantine may take, and how long its absence is watched */
#define QUARANTINE_MS	5000
#define WATCH_MS	500

#define SIZE		(2 * 4096)
#define OLD		0x0101010101010101ull
#define NEW		0x2222222222222222ull

/* Buffers of the deaf function: the last one stays mapped */
#define BUFS		4
#define KEPT		(BUFS - 1)

/* Lines about invalidations that timed out */
#define FAULTS		"CMDQ error|detected Invalidation Time-out Error"

FIXTURE(timeout) {
	char pf[BDF_SIZE];
	/* The function that is going to be deaf, and another with a domain of its own */
	struct atsx_fn deaf;
	struct atsx_fn sibling;
	struct atsx_mem mem[BUFS];
	struct atsx_mem sibling_mem;
	struct klog log;
	int host;
	/* Time-outs that it takes to find the culprit: 2 if the hardware names none */
	int trials;
	int unmaps;
};

FIXTURE_VARIANT(timeout) {
	unsigned int deaf;
	unsigned int cpu;
};

FIXTURE_VARIANT_ADD(timeout, pf) { .deaf = 0, .cpu = 0, };
FIXTURE_VARIANT_ADD(timeout, vf) { .deaf = 1, .cpu = 1, };

FIXTURE_SETUP(timeout)
{
	char cmdline[2048];
	const char *why;

	why = atsx_unfit(self->pf, true);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, sysfs_read(cmdline, sizeof(cmdline), "/proc/cmdline"));
	self->trials = strstr(cmdline, "vm_machine=vtd-nosid") ? 2 : 1;

	ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, atsx_fn_open(&self->deaf, variant->deaf));
	ASSERT_EQ(0, atsx_fn_open(&self->sibling, 2));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));

	/* All that the deaf function is later kept from works now */
	for (int i = 0; i < BUFS; i++) {
		struct atsx_mem *mem = &self->mem[i];

		ASSERT_EQ(0, atsx_mem_alloc(self->deaf.fd, mem, SIZE));
		ASSERT_EQ(0, atsx_mem_map(self->deaf.fd, mem));
		ASSERT_EQ(ATSX_RESULT_OK, dma(self->deaf.fd, mem, ATSX_CMD_TRANSLATE, 0, 0));
		ASSERT_EQ(SIZE, cached(self->deaf.fd, mem));
		atsx_mem_fill(mem, OLD);
		ASSERT_EQ(ATSX_RESULT_OK, dma(self->deaf.fd, mem, ATSX_CMD_WRITE,
					      ATSX_DMA_TRANSLATED, NEW));
		ASSERT_EQ(0, atsx_mem_differs(mem, NEW));
	}
	ASSERT_EQ(GRANT_ALL, atsx_fn_granted(&self->deaf, &self->mem[KEPT], GRANT_ALL));
	ASSERT_EQ(0, atsx_mem_alloc(self->sibling.fd, &self->sibling_mem, SIZE));
}

FIXTURE_TEARDOWN(timeout)
{
	atsx_fn_policy(&self->deaf, ATSX_INV_ANSWER, 0, ATSX_RESET_CLEAR, 0);
	close(self->deaf.fd);
	close(self->sibling.fd);
	if (pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
}

static void deaf_policy(struct __test_metadata *_metadata, struct _test_data_timeout *self,
			uint32_t inv, uint32_t param)
{
	ASSERT_EQ(0, atsx_fn_policy(&self->deaf, inv, param, ATSX_RESET_CLEAR, 0));
}

static uint64_t host_count(struct __test_metadata *_metadata, struct _test_data_timeout *self,
			   const struct atsx_fn *fn, unsigned int counter)
{
	uint64_t value = 0;

	EXPECT_EQ(0, host_get(self->host, fn->index, host_counter[counter], &value));
	return value;
}

/* Takes one of its buffers from the deaf function; the ms that it took */
static int timed_unmap(struct __test_metadata *_metadata, struct _test_data_timeout *self, int i)
{
	int ms;

	EXPECT_EQ(0, atsx_mem_unmap(self->deaf.fd, &self->mem[i]));
	ms = self->mem[i].buf.duration_ns / 1000000;
	ksft_print_msg("unmap %d: %d ms\n", ++self->unmaps, ms);
	return ms;
}

/* What has been unmapped belongs to somebody else, whatever is in the ATC */
static void expect_untouched(struct __test_metadata *_metadata,
			     struct _test_data_timeout *self, int i)
{
	struct ats_exerciser_dma stale = {
		.cmd = ATSX_CMD_WRITE, .flags = ATSX_DMA_TRANSLATED, .pattern = NEW,
		.addr = self->mem[i].buf.iova, .len = SIZE,
	};

	atsx_mem_fill(&self->mem[i], OLD);
	EXPECT_NE(ATSX_RESULT_OK, atsx_regs_dma(self->deaf.regs, &stale));
	EXPECT_EQ(0, atsx_mem_differs(&self->mem[i], OLD));
}

/* The function gets no translation, uses none, and has lost buffer @i */
static bool expect_fenced(struct __test_metadata *_metadata, struct _test_data_timeout *self,
			  int i)
{
	int granted;

	expect_untouched(_metadata, self, i);
	granted = atsx_fn_granted(&self->deaf, &self->mem[KEPT], GRANT_ATS);
	EXPECT_EQ(0, granted);
	ksft_print_msg("fenced: %d translation requests %s, translated DMA %s\n", !granted,
		       granted & GRANT_REQUEST ? "granted" : "refused",
		       granted & GRANT_TRANSLATED ? "granted" : "refused");
	return !granted;
}

/*
 * Quarantine follows the fence, does not lift it, and sends nothing either. Without a
 * fence none is awaited.
 */
static void expect_quarantined(struct __test_metadata *_metadata,
			       struct _test_data_timeout *self, bool fenced)
{
	if (!fenced)
		return;
	EXPECT_EQ(0, atsx_fn_wait_refused(&self->deaf, &self->mem[KEPT],
					  GRANT_UNTRANSLATED, QUARANTINE_MS))
		TH_LOG("%s is not quarantined", self->deaf.bdf);
	EXPECT_EQ(0, atsx_fn_granted(&self->deaf, &self->mem[KEPT], GRANT_ALL));
	EXPECT_EQ(0, host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_FENCED));
}

/* Nobody takes anything from the function, now or a little later */
static void expect_not_fenced(struct __test_metadata *_metadata,
			      struct _test_data_timeout *self)
{
	uint64_t end = raw_ms() + WATCH_MS;
	int granted;

	do
		granted = atsx_fn_granted(&self->deaf, &self->mem[KEPT], GRANT_ALL);
	while (granted == GRANT_ALL && raw_ms() < end);
	EXPECT_EQ(GRANT_ALL, granted);
	ksft_print_msg("fenced: %d\n", granted != GRANT_ALL);
}

/* Unmaps of a fenced function are over at once, on every CPU, and send nothing */
static void expect_no_invalidation(struct __test_metadata *_metadata,
				   struct _test_data_timeout *self)
{
	uint64_t received = host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_RECEIVED);

	for (int i = 1; i < KEPT; i++) {
		ASSERT_EQ(0, pin_cpu(i % 2));
		EXPECT_GT(AT_ONCE, timed_unmap(_metadata, self, i));
	}
	EXPECT_EQ(received, host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_RECEIVED));
}

/* A function with nothing wrong: maps, translates, writes, unmaps */
static void expect_works(struct __test_metadata *_metadata, struct _test_data_timeout *self)
{
	struct atsx_mem *mem = &self->sibling_mem;
	int fd = self->sibling.fd;

	ASSERT_EQ(0, atsx_mem_map(fd, mem));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_TRANSLATE, 0, 0));
	EXPECT_EQ(SIZE, cached(fd, mem));
	atsx_mem_fill(mem, OLD);
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, NEW));
	EXPECT_EQ(0, atsx_mem_differs(mem, NEW));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_WRITE, 0, OLD));
	EXPECT_EQ(0, atsx_mem_differs(mem, OLD));

	ASSERT_EQ(0, atsx_mem_unmap(fd, mem));
	EXPECT_GT(AT_ONCE, mem->buf.duration_ns / 1000000);
	EXPECT_EQ(0, cached(fd, mem));
	EXPECT_EQ(0, host_count(_metadata, self, &self->sibling, ATSX_CNT_ATC_ENTRIES));
	EXPECT_EQ(ATSX_RESULT_NO_ENTRY, dma(fd, mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, NEW));
	EXPECT_EQ(0, atsx_mem_differs(mem, OLD));
}

/* The IOMMU's driver says once what happened, not each time */
static void expect_bounded_log(struct __test_metadata *_metadata,
			       struct _test_data_timeout *self)
{
	EXPECT_GE(self->trials, klog_count(&self->log, FAULTS))
		klog_show(&self->log, FAULTS);
}

static void expect_silent(struct __test_metadata *_metadata, struct _test_data_timeout *self)
{
	EXPECT_EQ(0, klog_count(&self->log, KLOG_TROUBLE))
		klog_show(&self->log, KLOG_TROUBLE);
}

/*
 * The first unmap takes one time-out and returns to a fenced function; the later
 * ones have nothing to wait for (D8, D10, E1, E4, E5). The sibling notices nothing.
 */
TEST_F_TIMEOUT(timeout, unmap, TIMEOUT)
{
	bool fenced;
	int ms;

	expect_works(_metadata, self);
	deaf_policy(_metadata, self, ATSX_INV_DROP, 0);
	ASSERT_EQ(0, pin_cpu(variant->cpu));
	ms = timed_unmap(_metadata, self, 0);
	EXPECT_LE(HW_TIMEOUT - EARLY, ms);
	EXPECT_GE(self->trials * HW_TIMEOUT + SLACK(HW_TIMEOUT), ms);
	fenced = expect_fenced(_metadata, self, 0);

	expect_works(_metadata, self);
	expect_no_invalidation(_metadata, self);
	expect_quarantined(_metadata, self, fenced);
	expect_works(_metadata, self);
	expect_bounded_log(_metadata, self);
}

/*
 * From the time-out to a fenced function in less than 100 us, on the CPU that the
 * interrupt waits for, as there is no other (D2, D8a). Needs virtual time that counts
 * instructions: QEMU's -smp 1 -icount shift=0,sleep=off, said by vm_icount=1 on the
 * command line. There the hardware's time-out is exact.
 */
TEST_F_TIMEOUT(timeout, latency, TIMEOUT)
{
	const uint64_t timeout = self->trials * HW_TIMEOUT * 1000000ull;
	char cmdline[2048];
	uint64_t ns;
	bool fenced;

	ASSERT_EQ(0, sysfs_read(cmdline, sizeof(cmdline), "/proc/cmdline"));
	if (!strstr(cmdline, "vm_icount=1"))
		SKIP(return, "time is not counted in instructions");
	deaf_policy(_metadata, self, ATSX_INV_DROP, 0);
	ASSERT_EQ(0, sysfs_write("1", "/sys/module/" ATSX_DRIVER "/parameters/irqs_off"));
	timed_unmap(_metadata, self, 0);
	ns = self->mem[0].buf.duration_ns;
	fenced = expect_fenced(_metadata, self, 0);
	EXPECT_LE(timeout, ns);
	EXPECT_GT(timeout + 100000, ns);
	ksft_print_msg("unmap: %lld ns more than the time-out\n",
		       (long long)(ns - timeout));
	expect_quarantined(_metadata, self, fenced);
}

/* One request that is never answered convicts as well as many (D8, E4) */
TEST_F_TIMEOUT(timeout, drop_once, TIMEOUT)
{
	bool fenced;

	deaf_policy(_metadata, self, ATSX_INV_DROP_N, 1);
	ASSERT_EQ(0, pin_cpu(variant->cpu));
	EXPECT_GE(HW_TIMEOUT + SLACK(HW_TIMEOUT), timed_unmap(_metadata, self, 0));
	fenced = expect_fenced(_metadata, self, 0);

	expect_no_invalidation(_metadata, self);
	expect_quarantined(_metadata, self, fenced);
	expect_works(_metadata, self);
	expect_bounded_log(_metadata, self);
}

/*
 * Where the hardware names nobody, a function that answers when it is tried alone has
 * lost its entry by that, and is none that does not answer (E3).
 */
TEST_F_TIMEOUT(timeout, retried, TIMEOUT)
{
	int ms;

	if (self->trials < 2)
		SKIP(return, "the hardware says who has not answered");
	for (int i = 0; i < KEPT; i++) {
		deaf_policy(_metadata, self, ATSX_INV_DROP_N, 1);
		ASSERT_EQ(0, pin_cpu(i % 2));
		ms = timed_unmap(_metadata, self, i);
		EXPECT_LE(HW_TIMEOUT - EARLY, ms);
		EXPECT_GE(HW_TIMEOUT + SLACK(HW_TIMEOUT), ms);
		EXPECT_EQ(0, cached(self->deaf.fd, &self->mem[i]));
		expect_untouched(_metadata, self, i);
	}
	expect_not_fenced(_metadata, self);
	expect_works(_metadata, self);
	EXPECT_EQ(0, klog_count(&self->log, FAULTS))
		klog_show(&self->log, FAULTS);
}

/*
 * Hardware that writes the status of an aborted wait after all, in the moment when the
 * slot belongs to another one: intel-iommu.late-status=on. Whoever waits there goes on
 * to wait for the function (E2).
 */
TEST_F_TIMEOUT(timeout, late_status, TIMEOUT)
{
	struct atsx_mem *mem = &self->mem[0];
	int fd = self->deaf.fd;
	int i;

	if (self->trials < 2)
		SKIP(return, "the hardware says who has not answered: the first fault convicts");
	deaf_policy(_metadata, self, ATSX_INV_DROP_N, 1);
	EXPECT_LE(HW_TIMEOUT - EARLY, timed_unmap(_metadata, self, 0));

	/* A slot comes round again after as many submissions as the queue is long */
	deaf_policy(_metadata, self, ATSX_INV_DELAY, SLOT_MS);
	for (i = 0; i < 2 * QI_SLOTS; i++) {
		ASSERT_EQ(0, atsx_mem_map(fd, mem));
		ASSERT_EQ(ATSX_RESULT_OK, dma(fd, mem, ATSX_CMD_TRANSLATE, 0, 0));
		ASSERT_EQ(0, atsx_mem_unmap(fd, mem));
		if (cached(fd, mem))
			break;
	}
	EXPECT_EQ(2 * QI_SLOTS, i)
		TH_LOG("unmap %d returned before the function had answered", i);
	expect_not_fenced(_metadata, self);
}

/* An answer after the time-out lifts nothing: the fence stays (D8, E4) */
TEST_F_TIMEOUT(timeout, late, TIMEOUT)
{
	uint64_t answered = host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_ANSWERED);
	uint64_t end;
	bool fenced;

	deaf_policy(_metadata, self, ATSX_INV_DELAY, 3 * HW_TIMEOUT);
	ASSERT_EQ(0, pin_cpu(variant->cpu));
	EXPECT_GE(self->trials * HW_TIMEOUT + SLACK(HW_TIMEOUT), timed_unmap(_metadata, self, 0));
	fenced = expect_fenced(_metadata, self, 0);
	EXPECT_EQ(answered, host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_ANSWERED));

	end = raw_ms() + 4 * HW_TIMEOUT;
	while (host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_ANSWERED) == answered)
		ASSERT_GT(end, raw_ms());
	fenced &= expect_fenced(_metadata, self, 0);
	expect_no_invalidation(_metadata, self);
	expect_quarantined(_metadata, self, fenced);
	expect_works(_metadata, self);
	expect_bounded_log(_metadata, self);
}

/* A function that takes its time is a healthy one. Unpatched kernels see it so. */
TEST_F_TIMEOUT(timeout, slow, TIMEOUT)
{
	deaf_policy(_metadata, self, ATSX_INV_DELAY, HW_TIMEOUT / 2);
	for (int i = 0; i < KEPT; i++) {
		int ms;

		ASSERT_EQ(0, pin_cpu(i % 2));
		ms = timed_unmap(_metadata, self, i);
		EXPECT_LE(HW_TIMEOUT / 2 - EARLY, ms);
		EXPECT_GT(HW_TIMEOUT + SLACK(HW_TIMEOUT), ms);
		expect_untouched(_metadata, self, i);
		EXPECT_EQ(0, cached(self->deaf.fd, &self->mem[i]));
	}
	expect_not_fenced(_metadata, self);
	expect_works(_metadata, self);
	expect_silent(_metadata, self);
}

/*
 * Unsupported Request is an answer like any other to the hardware, so nobody can
 * tell that the translation stays. Unpatched kernels are as blind as patched ones.
 */
TEST_F_TIMEOUT(timeout, unsupported, TIMEOUT)
{
	uint64_t answered = host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_ANSWERED);

	deaf_policy(_metadata, self, ATSX_INV_UR, 0);
	for (int i = 0; i < KEPT; i++) {
		EXPECT_GT(AT_ONCE, timed_unmap(_metadata, self, i));
		EXPECT_EQ(SIZE, cached(self->deaf.fd, &self->mem[i]));
	}
	EXPECT_LE(answered + KEPT,
		  host_count(_metadata, self, &self->deaf, ATSX_CNT_INV_ANSWERED));
	expect_not_fenced(_metadata, self);
	expect_works(_metadata, self);
	expect_silent(_metadata, self);
}

/* What the sibling does while the deaf function is being unmapped */
struct innocent {
	struct atsx_fn *fn;
	struct atsx_mem *mem;
	unsigned int cpu;
	pthread_barrier_t *start;
	/* Of the deaf function's unmap, 0 until then */
	uint64_t begun;
	uint64_t ended;

	int error;
	int cycles;
	int overlaps;		/* unmaps during the other's */
	int refused;		/* translations */
	int stale;		/* entries left after an unmap */
	int longest_ms;
};

/* With registers: its interrupts may go to the other's CPU, where they are off */
static int innocent_cycle(struct innocent *in)
{
	struct ats_exerciser_dma arg;
	uint64_t begun, ended;
	int ret, ms;

	ret = atsx_mem_map(in->fn->fd, in->mem);
	if (ret)
		return ret;
	arg = (struct ats_exerciser_dma) {
		.cmd = ATSX_CMD_TRANSLATE, .addr = in->mem->buf.iova, .len = SIZE,
	};
	ret = atsx_regs_dma(in->fn->regs, &arg);
	if (ret < 0)
		return ret;
	in->refused += ret != ATSX_RESULT_OK;

	begun = raw_ms();
	ret = atsx_mem_unmap(in->fn->fd, in->mem);
	if (ret)
		return ret;
	arg.cmd = ATSX_CMD_LOOKUP;
	ret = atsx_regs_dma(in->fn->regs, &arg);
	if (ret < 0)
		return ret;
	in->stale += arg.count || atsx_regs_counter(in->fn->regs, ATSX_CNT_ATC_ENTRIES);
	ended = __atomic_load_n(&in->ended, __ATOMIC_ACQUIRE);
	in->overlaps += __atomic_load_n(&in->begun, __ATOMIC_ACQUIRE) &&
			(!ended || begun < ended);
	ms = in->mem->buf.duration_ns / 1000000;
	if (ms > in->longest_ms)
		in->longest_ms = ms;
	in->cycles++;
	return 0;
}

static void *innocent_thread(void *data)
{
	struct innocent *in = data;
	bool over;

	in->error = pin_cpu(in->cpu);
	pthread_barrier_wait(in->start);
	do {
		over = __atomic_load_n(&in->ended, __ATOMIC_ACQUIRE);
		in->error = in->error ?: innocent_cycle(in);
	} while (!in->error && !over);
	return NULL;
}

/*
 * Unmaps buffer 0 of the deaf function while the sibling maps and unmaps on the
 * other CPU; the ms that the unmap took. The sibling has its way: it is never
 * refused, loses every entry, and waits for @bound ms at most.
 */
static int unmap_beside(struct __test_metadata *_metadata, struct _test_data_timeout *self,
			unsigned int cpu, int bound)
{
	uint64_t refused = host_count(_metadata, self, &self->sibling, ATSX_CNT_TR_REFUSED);
	pthread_barrier_t start;
	struct innocent in = {
		.fn = &self->sibling, .mem = &self->sibling_mem, .cpu = !cpu, .start = &start,
	};
	pthread_t thread;
	int ms;

	ASSERT_EQ(0, pin_cpu(cpu));
	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, innocent_thread, &in));
	pthread_barrier_wait(&start);
	__atomic_store_n(&in.begun, raw_ms(), __ATOMIC_RELEASE);
	ms = timed_unmap(_metadata, self, 0);
	__atomic_store_n(&in.ended, raw_ms(), __ATOMIC_RELEASE);
	expect_untouched(_metadata, self, 0);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	pthread_barrier_destroy(&start);

	ksft_print_msg("innocent: %d unmaps, %d meanwhile, longest %d ms, %d stale entries\n",
		       in.cycles, in.overlaps, in.longest_ms, in.stale);
	EXPECT_EQ(0, in.error);
	EXPECT_LT(0, in.overlaps);
	EXPECT_EQ(0, in.refused);
	EXPECT_EQ(0, in.stale);
	EXPECT_GE(bound, in.longest_ms);
	EXPECT_EQ(0, host_count(_metadata, self, &self->sibling, ATSX_CNT_ATC_ENTRIES));
	EXPECT_EQ(refused, host_count(_metadata, self, &self->sibling, ATSX_CNT_TR_REFUSED));
	return ms;
}

/* Who shares only the queue with the deaf function shares no more than the wait (D1, E2) */
TEST_F_TIMEOUT(timeout, innocent, TIMEOUT)
{
	int bound = self->trials * HW_TIMEOUT + SLACK(HW_TIMEOUT);
	bool fenced;

	deaf_policy(_metadata, self, ATSX_INV_DROP, 0);
	EXPECT_GE(bound, unmap_beside(_metadata, self, variant->cpu, bound));
	fenced = expect_fenced(_metadata, self, 0);
	expect_quarantined(_metadata, self, fenced);
	expect_works(_metadata, self);
	expect_bounded_log(_metadata, self);
}

/* What moves the sibling's interrupts to and fro while the deaf function is unmapped */
struct mover {
	const char *path;
	pthread_barrier_t *start;
	bool stop;
	int error;
	int moves;
};

static void *mover_thread(void *data)
{
	struct mover *m = data;

	m->error = pin_cpu(1);
	pthread_barrier_wait(m->start);
	do {
		m->error = m->error ?: sysfs_write(m->moves % 2 ? "1" : "2", "%s", m->path);
		m->moves += !m->error;
	} while (!m->error && !__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE));
	return NULL;
}

/*
 * Interrupt remapping has its cache invalidated through the same queue. A function that
 * does not answer makes it wait, and no more (E2): the interrupts arrive where they
 * were sent last.
 */
TEST_F_TIMEOUT(timeout, interrupts, TIMEOUT)
{
	char dir[80], path[32];
	pthread_barrier_t start;
	struct mover mover = { .path = path, .start = &start };
	struct dirent *irq = NULL;
	pthread_t thread;
	bool fenced;
	DIR *irqs;

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/msi_irqs", self->sibling.bdf);
	irqs = opendir(dir);
	ASSERT_NE(NULL, irqs);
	do
		irq = readdir(irqs);
	while (irq && irq->d_name[0] == '.');
	ASSERT_NE(NULL, irq);
	snprintf(path, sizeof(path), "/proc/irq/%.8s/smp_affinity", irq->d_name);
	closedir(irqs);

	deaf_policy(_metadata, self, ATSX_INV_DROP, 0);
	ASSERT_EQ(0, pin_cpu(0));
	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, mover_thread, &mover));
	pthread_barrier_wait(&start);
	EXPECT_GE(self->trials * HW_TIMEOUT + SLACK(HW_TIMEOUT), timed_unmap(_metadata, self, 0));
	fenced = expect_fenced(_metadata, self, 0);
	__atomic_store_n(&mover.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	pthread_barrier_destroy(&start);
	ksft_print_msg("interrupts moved %d times\n", mover.moves);
	EXPECT_EQ(0, mover.error);
	EXPECT_LT(0, mover.moves);

	expect_quarantined(_metadata, self, fenced);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0, sysfs_write(i % 2 ? "1" : "2", "%s", path));
		expect_works(_metadata, self);
	}
	expect_bounded_log(_metadata, self);
}

/*
 * Hardware that waits longer than the driver polls: nobody goes on before it has
 * spoken, neither the deaf function's unmap nor one that waits behind it (D11).
 */
TEST_F_TIMEOUT(timeout, software, TIMEOUT)
{
	int timeout = SOFTWARE;
	bool fenced;
	int ms;

	if (getenv("vm_atc_timeout"))
		timeout = atoi(getenv("vm_atc_timeout"));
	deaf_policy(_metadata, self, ATSX_INV_DROP, 0);
	ms = unmap_beside(_metadata, self, variant->cpu, timeout + SLACK(timeout));
	EXPECT_LE(timeout - EARLY, ms);
	EXPECT_GE(timeout + SLACK(timeout), ms);
	fenced = expect_fenced(_metadata, self, 0);

	expect_no_invalidation(_metadata, self);
	expect_quarantined(_metadata, self, fenced);
	expect_works(_metadata, self);
	expect_bounded_log(_metadata, self);
}

/* Hardware that waits for ever: the answer ends the wait, and all is well (D11, E1) */
TEST_F_TIMEOUT(timeout, answer_late, TIMEOUT)
{
	int ms;

	deaf_policy(_metadata, self, ATSX_INV_DELAY, DELAY);
	ms = unmap_beside(_metadata, self, variant->cpu, DELAY + SLACK(DELAY));
	EXPECT_LE(DELAY - EARLY, ms);
	EXPECT_GE(DELAY + SLACK(DELAY), ms);
	EXPECT_EQ(0, cached(self->deaf.fd, &self->mem[0]));
	deaf_policy(_metadata, self, ATSX_INV_ANSWER, 0);
	expect_not_fenced(_metadata, self);
	expect_works(_metadata, self);
	EXPECT_EQ(0, klog_count(&self->log, FAULTS))
		klog_show(&self->log, FAULTS);
}

TEST_HARNESS_MAIN
