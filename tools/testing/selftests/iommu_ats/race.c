// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: functions map, translate, write and unmap, stop answering, are
 * reset in every way, unbound and bound, removed and found again, pulled out of their
 * slot and put in, handed to a user of VFIO and back. What has to hold throughout:
 *
 *   - what a function has in its ATC is worth nothing once an unmap has returned: not
 *     one word is written
 *   - a function that always answers is never blocked for not answering
 *   - nobody warns, and nobody hangs
 *   - in the end each function answers, is reset, and works
 *
 * Each thread draws what it does from random numbers of its own, which come from the
 * seed alone: vm_seed=N in the environment repeats the sequences, though not when one
 * thread's step meets another's. vm_seconds=N says for how long (20).
 *
 * The case needs the kernel command line iommu.strict=1, an ats-exerciser with four VFs
 * in a slot that pciehp serves, and another one beside it.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"
#include "expect.h"

/* The harness does not know for how long; the machine's list does */
#define TIMEOUT		36000

#define SIZE		(2 * 4096)
#define OLD		0x0101010101010101ull
#define NEW		0x2222222222222222ull

/* Functions 0 to VFS of the first device; the last one is for VFIO */
#define VFS		4
#define HEALTHY		ATSX_EX(1)

/* Until a device that was pulled out is gone, and until one is back */
#define GONE_MS		30000
#define BACK_MS		30000
/* Until the port has heard of an error; a function that is being reset does not send it */
#define HEARD_MS	500

enum event {
	E_USED, E_USED_VFIO, E_STALE_TRIED, E_DEAF, E_FLR, E_PM, E_BUS, E_PORT, E_AER,
	E_REBIND, E_DOMAIN, E_SRIOV, E_REMOVE, E_PULL, E_BUS_ERROR, E_NUM,
};

static const char *const event_name[E_NUM] = {
	"used", "used by VFIO", "writes tried after unmap", "policies", "flr", "pm", "bus",
	"port", "AER", "rebinds", "domains", "SR-IOV", "removals", "pulled out", "SIGBUS",
};

FIXTURE(race) {
	/* An absent device has no name in sysfs, and others would be taken for it */
	char pf[BDF_SIZE];
	char port[BDF_SIZE];
	char healthy[BDF_SIZE];
	struct klog log;
	int host;
	uint64_t seed;
	uint64_t seconds;
};

static atomic_ulong events[E_NUM];
/* What took longest of each, ms */
static atomic_ulong longest[E_NUM];
static atomic_ulong stale;
static atomic_bool stop;
/* The worker that is to use it has not begun */
static atomic_bool no_vfio;

/* One command to the host at a time */
static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;
/* A function is used by one thread at a time: its registers are those of one command */
static pthread_mutex_t fn_lock[VFS + 1];
/*
 * For writing: the device is out of its slot. 7.2 waits a minute for one that is pulled out
 * in the middle of a reset of its bus, as the last user of VFIO does when he leaves.
 */
static pthread_rwlock_t slot_lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

/* Without a device there is no recovery that could be waited for */
static pthread_mutex_t link_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * For writing: the PF has no driver, or the link is recovered, which fails if a function has
 * none. The PF then loses its configuration, and with it its VFs, which 7.2 waits a minute
 * for, each time that one is reset.
 */
static pthread_rwlock_t driver_lock = PTHREAD_RWLOCK_INITIALIZER;

struct worker {
	pthread_t thread;
	void *(*run)(void *arg);
	struct _test_data_race *self;
	unsigned int number;
	uint64_t state;
};

/* xorshift64*, Marsaglia 2003, Vigna 2016 */
static uint32_t draw(struct worker *w, uint32_t below)
{
	w->state ^= w->state >> 12;
	w->state ^= w->state << 25;
	w->state ^= w->state >> 27;
	return ((w->state * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static void count(enum event e)
{
	atomic_fetch_add(&events[e], 1);
}

/* The same for what has begun at @start */
static void count_since(enum event e, uint64_t start)
{
	unsigned long ms = raw_ms() - start, was = atomic_load(&longest[e]);

	while (ms > was && !atomic_compare_exchange_weak(&longest[e], &was, ms))
		;
	count(e);
}

/* Registers of a function that is taken away are no memory any more */
static __thread void *on_sigbus;

static void sigbus(int sig)
{
	if (!on_sigbus)
		abort();
	siglongjmp(*(sigjmp_buf *)on_sigbus, sig);
}

static unsigned long env_number(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static int fn_name(struct worker *w, unsigned int index, char bdf[BDF_SIZE])
{
	if (index)
		return pci_virtfn(w->self->pf, index - 1, bdf);
	snprintf(bdf, BDF_SIZE, "%s", w->self->pf);
	return 0;
}

static int set_policy(struct worker *w, unsigned int fn, const char *name, uint32_t value)
{
	int ret;

	pthread_mutex_lock(&host_lock);
	ret = host_set(w->self->host, fn, name, value);
	pthread_mutex_unlock(&host_lock);
	return ret;
}

/*
 * The owner of memory that has been unmapped fills it, and the function writes to what
 * it has in its ATC.
 */
static void try_stale(struct atsx_fn *fn, struct atsx_mem *mem)
{
	struct ats_exerciser_dma cmd = {
		.cmd = ATSX_CMD_WRITE,
		.addr = mem->buf.iova,
		.len = mem->buf.size,
		.flags = ATSX_DMA_TRANSLATED,
		.pattern = NEW,
	};
	char type[16] = "?";
	size_t bad;

	atsx_mem_fill(mem, OLD);
	atsx_regs_dma(fn->regs, &cmd);
	count(E_STALE_TRIED);
	bad = atsx_mem_differs(mem, OLD);
	if (!bad)
		return;
	atomic_fetch_add(&stale, bad);
	iommu_type(fn->bdf, type, sizeof(type));
	ksft_print_msg("%s: %zu words written after the unmap, domain %s\n", fn->bdf, bad, type);
}

/*
 * Any step may fail, as somebody else takes the function away. If the unmap has not
 * failed, nothing may be written.
 */
static void use(struct worker *w, const char *bdf)
{
	struct atsx_fn fn = { .fd = -1 };
	struct atsx_mem mem = {};
	sigjmp_buf env;
	bool mapped;

	snprintf(fn.bdf, sizeof(fn.bdf), "%s", bdf);
	if (!atsx_fn_open_named(&fn)) {
		if (!sigsetjmp(env, 1)) {
			on_sigbus = &env;
			for (int i = draw(w, 8); i >= 0; i--) {
				if (atsx_mem_alloc(fn.fd, &mem, SIZE))
					break;
				mapped = !atsx_mem_map(fn.fd, &mem);
				if (mapped) {
					struct ats_exerciser_dma cmd = {
						.cmd = ATSX_CMD_TRANSLATE,
						.addr = mem.buf.iova,
						.len = mem.buf.size,
					};

					atsx_regs_dma(fn.regs, &cmd);
					cmd.cmd = ATSX_CMD_WRITE;
					cmd.flags = draw(w, 2) ? ATSX_DMA_TRANSLATED : 0;
					cmd.pattern = NEW;
					atsx_regs_dma(fn.regs, &cmd);
				}
				if (mapped && !atsx_mem_unmap(fn.fd, &mem))
					try_stale(&fn, &mem);
				munmap(mem.p, SIZE);
				mem.p = NULL;
				atsx_ioctl(fn.fd, ATS_EXERCISER_BUF_FREE, &mem.buf);
				count(E_USED);
			}
		} else {
			count(E_BUS_ERROR);
			if (mem.p && mem.p != MAP_FAILED)
				munmap(mem.p, SIZE);
		}
		on_sigbus = NULL;
	}
	if (fn.regs && fn.regs != MAP_FAILED)
		munmap((void *)fn.regs, ATSX_BAR_REGS_SIZE);
	if (fn.fd >= 0)
		close(fn.fd);
}

static void *run_user(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		unsigned int index = draw(w, VFS);
		char bdf[BDF_SIZE];

		pthread_mutex_lock(&fn_lock[index]);
		if (!fn_name(w, index, bdf))
			use(w, bdf);
		pthread_mutex_unlock(&fn_lock[index]);
	}
	return NULL;
}

/* The device that always answers */
static void *run_healthy(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop))
		use(w, w->self->healthy);
	return NULL;
}

static void use_vfio(struct worker *w, struct vfio_space *space, struct atsx_fn *fn)
{
	struct atsx_mem mem = {};
	sigjmp_buf env;

	if (vfio_mem_alloc(&mem, SIZE))
		return;
	mem.buf.iova = 0x100000;
	if (!sigsetjmp(env, 1)) {
		on_sigbus = &env;
		for (int i = draw(w, 16); i >= 0; i--) {
			struct ats_exerciser_dma cmd = {
				.cmd = ATSX_CMD_TRANSLATE,
				.addr = mem.buf.iova,
				.len = SIZE,
			};
			bool attached = !vfio_attach(fn, space);

			if (vfio_mem_map(space, &mem))
				break;
			if (attached)
				atsx_regs_dma(fn->regs, &cmd);
			if (!vfio_mem_unmap(space, &mem))
				try_stale(fn, &mem);
			if (attached)
				vfio_detach(fn);
			if (!draw(w, 4)) {
				vfio_reset(fn);
				vfio_enable(fn);
			}
			count(E_USED_VFIO);
		}
	} else {
		count(E_BUS_ERROR);
	}
	on_sigbus = NULL;
	/* For the next round, whatever this one has left */
	vfio_unmap_all(space, NULL);
	munmap(mem.p, SIZE);
}

static void *run_vfio(void *arg)
{
	struct worker *w = arg;
	struct vfio_space space;
	sigjmp_buf env;

	if (vfio_space_open(&space)) {
		atomic_store(&no_vfio, true);
		return NULL;
	}
	while (!atomic_load(&stop)) {
		struct atsx_fn fn = { .fd = -1 };
		volatile int ret = -EFAULT;

		pthread_rwlock_rdlock(&slot_lock);
		/* -EAGAIN: somebody is just resetting it */
		if (!sigsetjmp(env, 1)) {
			on_sigbus = &env;
			for (int i = 0; i < 20; i++) {
				ret = vfio_open(&fn, VFS, &space);
				if (ret != -EAGAIN)
					break;
				vfio_release(&fn);
			}
		}
		on_sigbus = NULL;
		if (!ret)
			use_vfio(w, &space, &fn);
		vfio_close(&fn);
		pthread_rwlock_unlock(&slot_lock);
	}
	vfio_space_close(&space);
	return NULL;
}

static void reset_by(struct worker *w, unsigned int index, const char *method,
		     enum event e)
{
	uint64_t start = raw_ms();
	char bdf[BDF_SIZE];

	if (fn_name(w, index, bdf) ||
	    sysfs_write(method, "/sys/bus/pci/devices/%s/reset_method", bdf))
		return;
	sysfs_write("1", "/sys/bus/pci/devices/%s/reset", bdf);
	count_since(e, start);
}

static int set_present(struct worker *w, bool present)
{
	int ret;

	pthread_mutex_lock(&host_lock);
	ret = host_set_present(w->self->host, 0, present);
	pthread_mutex_unlock(&host_lock);
	return ret;
}

/* Until it is gone and has a driver again, as it may not be bound in between */
static void pull_and_put_in(struct worker *w)
{
	uint64_t start = raw_ms(), end = start + GONE_MS;
	struct _test_data_race *self = w->self;
	char driver[32];
	bool gone, back;
	int ctrl;

	if (set_present(w, false))
		return;
	do {
		ctrl = pci_slot_ctrl(self->port);
		gone = ctrl >= 0 && (ctrl & PCI_SLOT_CTRL_OFF) == PCI_SLOT_CTRL_OFF;
	} while (ctrl >= 0 && !gone && raw_ms() < end);
	if (set_present(w, true))
		return;
	end = raw_ms() + BACK_MS;
	while (!(back = !pci_driver(self->pf, driver, sizeof(driver))) && raw_ms() < end)
		sched_yield();
	if (gone && back)
		count_since(E_PULL, start);
}

/* An error of the link, and what the kernel does about it */
static void recover(struct worker *w)
{
	uint64_t start = raw_ms();
	char driver[32];
	struct klog log;
	int ret;

	if (pci_driver(w->self->pf, driver, sizeof(driver)) || klog_open(&log, false))
		return;
	pthread_mutex_lock(&host_lock);
	ret = host_aer(w->self->host, "DLP");
	pthread_mutex_unlock(&host_lock);
	if (!ret && klog_wait(&log, "error message received from", HEARD_MS) > 0 &&
	    klog_wait(&log, "device recovery (successful|failed)", BACK_MS) > 0)
		count_since(E_AER, start);
	klog_close(&log);
}

static void rebind(struct worker *w, unsigned int index, bool domain)
{
	uint64_t start = raw_ms();
	char bdf[BDF_SIZE], type[16];

	if (fn_name(w, index, bdf))
		return;
	/*
	 * 7.2 does not take pci_rescan_remove_lock for VFs that go with the PF's driver:
	 * there are none, and nobody makes any.
	 */
	if (!index) {
		pthread_rwlock_wrlock(&driver_lock);
		pci_set_numvfs(bdf, 0);
	} else {
		pthread_rwlock_rdlock(&driver_lock);
	}
	pci_unbind(bdf);
	if (domain)
		iommu_set_type(bdf, "identity");
	/*
	 * One that is blocked, or is just reset, may have to keep the identity domain. There
	 * nothing is stale, and whatever a driver has ever mapped can be written to.
	 */
	if (!iommu_type(bdf, type, sizeof(type)) &&
	    (!strcmp(type, "DMA") || !iommu_set_type(bdf, "DMA")))
		pci_bind(bdf, ATSX_DRIVER);
	pthread_rwlock_unlock(&driver_lock);
	count_since(domain ? E_DOMAIN : E_REBIND, start);
}

static void *run_admin(void *arg)
{
	static const uint32_t inv[] = {
		ATSX_INV_ANSWER, ATSX_INV_ANSWER, ATSX_INV_DROP, ATSX_INV_DROP_N,
		ATSX_INV_DELAY,
	};
	static const uint32_t reset[] = {
		ATSX_RESET_CLEAR, ATSX_RESET_CLEAR, ATSX_RESET_KEEP_POLICY,
		ATSX_RESET_KEEP_ALL,
	};
	struct worker *w = arg;
	struct _test_data_race *self = w->self;

	while (!atomic_load(&stop)) {
		unsigned int index = draw(w, VFS + 1);
		uint32_t what = draw(w, 100);
		uint64_t start;

		if (what < 97)
			pthread_rwlock_rdlock(&slot_lock);
		else
			pthread_rwlock_wrlock(&slot_lock);
		start = raw_ms();
		if (what < 30) {
			set_policy(w, index, "inv-param", draw(w, 100));
			set_policy(w, index, "inv-policy",
				   inv[draw(w, sizeof(inv) / sizeof(*inv))]);
			set_policy(w, index, "reset-policy",
				   reset[draw(w, sizeof(reset) / sizeof(*reset))]);
			count_since(E_DEAF, start);
		} else if (what < 50) {
			reset_by(w, index, "flr", E_FLR);
		} else if (what < 60) {
			reset_by(w, index, "pm", E_PM);
		} else if (what < 70) {
			rebind(w, index < VFS ? index : 1, false);
		} else if (what < 75) {
			rebind(w, index < VFS ? index : 1, true);
		} else if (what < 80) {
			pthread_rwlock_rdlock(&driver_lock);
			pci_set_numvfs(self->pf, draw(w, 2) ? VFS : 0);
			pthread_rwlock_unlock(&driver_lock);
			count_since(E_SRIOV, start);
		} else if (what < 85) {
			reset_by(w, index, "bus", E_BUS);
		} else if (what < 90) {
			sysfs_write("1", "/sys/bus/pci/devices/%s/reset_subordinate",
				    self->port);
			count_since(E_PORT, start);
		} else if (what < 93) {
			/* One in eight is let go wrong */
			if (draw(w, 8))
				pthread_rwlock_wrlock(&driver_lock);
			else
				pthread_rwlock_rdlock(&driver_lock);
			pthread_mutex_lock(&link_lock);
			recover(w);
			pthread_mutex_unlock(&link_lock);
			pthread_rwlock_unlock(&driver_lock);
		} else if (what < 97) {
			pthread_mutex_lock(&link_lock);
			pci_remove(self->pf);
			pci_rescan();
			pthread_mutex_unlock(&link_lock);
			count_since(E_REMOVE, start);
		} else {
			pull_and_put_in(w);
		}
		pthread_rwlock_unlock(&slot_lock);
	}
	return NULL;
}

FIXTURE_SETUP(race)
{
	struct sigaction action = { .sa_handler = sigbus };
	const char *why;

	why = atsx_unfit(self->pf, true);
	if (why)
		SKIP(return, "%s", why);
	if (!pci_in_slot(self->pf, 1))
		SKIP(return, "%s is not in slot 1 of pciehp", self->pf);
	ASSERT_EQ(0, pci_port(self->pf, self->port));
	ASSERT_EQ(0, atsx_bdf(HEALTHY, self->healthy));
	ASSERT_EQ(0, pci_set_numvfs(self->pf, VFS));
	self->host = host_open();
	ASSERT_LE(0, self->host);
	ASSERT_EQ(0, klog_open(&self->log, false));
	/* If KCSAN is there: 7.2's own, in the tick of an idle CPU, of the clock, and of ttys */
	sysfs_write("!tick_nohz_idle_got_tick", "/sys/kernel/debug/kcsan");
	sysfs_write("!ktime_get_raw", "/sys/kernel/debug/kcsan");
	sysfs_write("!n_tty_receive_buf_common", "/sys/kernel/debug/kcsan");
	/* Of a PCI device it reads is_virtfn, which never changes, beside bits that do */
	sysfs_write("!reset_store", "/sys/kernel/debug/kcsan");
	/* A link that was reset has to be followed by a reset of the driver's own */
	ASSERT_EQ(0, sysfs_write("1", "/sys/module/" ATSX_DRIVER "/parameters/recover"));
	ASSERT_EQ(0, sigaction(SIGBUS, &action, NULL));
	for (int i = 0; i <= VFS; i++)
		ASSERT_EQ(0, pthread_mutex_init(&fn_lock[i], NULL));
	self->seconds = env_number("vm_seconds", 20);
	self->seed = env_number("vm_seed", 0);
	if (!self->seed)
		ASSERT_EQ(4, getrandom(&self->seed, 4, 0));
	ksft_print_msg("vm_seed=%llu vm_seconds=%llu\n", (unsigned long long)self->seed,
		       (unsigned long long)self->seconds);
}

FIXTURE_TEARDOWN(race)
{
	pci_set_numvfs(self->pf, 0);
}

/* Nothing is held against the function any more, and it works */
static void expect_fine(struct __test_metadata *_metadata, unsigned int index)
{
	struct atsx_fn fn;

	ASSERT_EQ(0, atsx_fn_open(&fn, index));
	expect_blocked(_metadata, fn.bdf, "none");
	expect_works(_metadata, &fn);
	atsx_fn_close(&fn);
}

/*
 * Whatever was going on: everybody answers, is reset and bound. The PF is found anew, as
 * it loses its configuration to a recovery of the link that has failed.
 */
static void settle(struct __test_metadata *_metadata, struct _test_data_race *self,
		   struct worker *w)
{
	uint64_t end = raw_ms() + BACK_MS;
	char driver[32];

	for (unsigned int i = 0; i <= VFS; i++) {
		ASSERT_EQ(0, set_policy(w, i, "inv-policy", ATSX_INV_ANSWER));
		ASSERT_EQ(0, set_policy(w, i, "reset-policy", ATSX_RESET_CLEAR));
	}
	pci_set_numvfs(self->pf, 0);
	sysfs_write("flr", "/sys/bus/pci/devices/%s/reset_method", self->pf);
	sysfs_write("1", "/sys/bus/pci/devices/%s/reset", self->pf);
	pci_remove(self->pf);
	pci_rescan();
	while (pci_driver(self->pf, driver, sizeof(driver)) || strcmp(driver, ATSX_DRIVER)) {
		ASSERT_LT(raw_ms(), end);
		pci_bind(self->pf, ATSX_DRIVER);
	}
	ASSERT_EQ(0, pci_set_numvfs(self->pf, VFS));
}

TEST_F_TIMEOUT(race, stress, TIMEOUT)
{
	static struct worker workers[] = {
		{ .run = run_user },
		{ .run = run_user },
		{ .run = run_healthy },
		{ .run = run_vfio },
		{ .run = run_admin },
		{ .run = run_admin },
		{ .run = run_admin },
	};
	const unsigned int num = sizeof(workers) / sizeof(*workers);
	uint64_t start = raw_ms();
	char regex[128];

	for (unsigned int i = 0; i < num; i++) {
		struct worker *w = &workers[i];

		w->self = self;
		w->number = i;
		/* Not 0, which stays what it is */
		w->state = (self->seed << 8 | i) * 0x9e3779b97f4a7c15ull ?: 1;
		ASSERT_EQ(0, pthread_create(&w->thread, NULL, w->run, w));
	}
	while (raw_ms() - start < self->seconds * 1000 && !atomic_load(&stale))
		sleep(1);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < num; i++)
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));

	for (int i = 0; i < E_NUM; i++)
		ksft_print_msg("%s: %lu, longest %lu ms\n", event_name[i],
			       atomic_load(&events[i]), atomic_load(&longest[i]));
	ksft_print_msg("quarantined: %d, recovered: %d, in %llu ms\n",
		       klog_count(&self->log, "no answer to invalidations, DMA stays"),
		       klog_count(&self->log, "not blocked any more"),
		       (unsigned long long)(raw_ms() - start));
	/* Something has to have happened, whatever had to wait */
	EXPECT_LT(0, atomic_load(&events[E_STALE_TRIED]));
	EXPECT_FALSE(atomic_load(&no_vfio));
	EXPECT_EQ(0, atomic_load(&stale));
	snprintf(regex, sizeof(regex), "%s: .*no answer to invalidations",
		 self->healthy);
	EXPECT_EQ(0, klog_count(&self->log, regex))
		klog_show(&self->log, regex);
	EXPECT_EQ(0, klog_count(&self->log, KLOG_WARN))
		klog_show(&self->log, KLOG_WARN);

	settle(_metadata, self, &workers[0]);
	expect_fine(_metadata, HEALTHY);
	for (unsigned int i = 0; i <= VFS; i++)
		expect_fine(_metadata, i);
}

TEST_HARNESS_MAIN
