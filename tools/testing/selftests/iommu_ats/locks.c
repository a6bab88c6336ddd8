// SPDX-License-Identifier: GPL-2.0
/*
 * Locks which resets, removals and changes of the number of VFs wait for in a circle. A user
 * of VFIO has a device open, and who removes it waits for him: that is what keeps all of
 * them at the place where they meet. When he is gone everybody has to come to an end. And
 * a lock that is given back by somebody who has not taken it, and one that is gone with
 * what it belongs to.
 *
 *   B7  a device can be removed in every state
 *   B8  the locks of resets, with one order
 *
 * It needs an ats-exerciser with two VFs, another one beside it, VFIO, and /proc/PID/stack;
 * "added" needs a third one, a function of the device of the second.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "vfio.h"
#include "kselftest_harness.h"

#define TIMEOUT		120
/* For how long a device is added until that falls into a reset, which takes 0.1 s and more */
#define TRY_MS		90000
/* Until a writer is where he is to be, and until he is done; both take some ms */
#define PLACE_MS	20000
#define DONE_S		20

/* A reset that takes its time */
#define RESET_MS	1000

/* Who removes a device waits here for who has it open */
#define IN_USE		"vfio_unregister_group_dev"

struct writer {
	pthread_t thread;
	const char *value;
	char path[128];
	atomic_int tid;
	atomic_bool done;
	int ret;
};

FIXTURE(locks) {
	char pf[BDF_SIZE];
	char vf[BDF_SIZE];
	struct vfio_space space;
	/* In use by VFIO */
	struct atsx_fn fn;
	struct klog log;
	struct writer writer[3];
};

FIXTURE_SETUP(locks)
{
	const char *why;

	why = atsx_unfit(self->pf, false);
	if (why)
		SKIP(return, "%s", why);
	self->fn.fd = -1;
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 2));
	ASSERT_EQ(0, pci_virtfn(self->pf, 1, self->vf));
	ASSERT_EQ(0, vfio_space_open(&self->space));
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(locks)
{
	vfio_release(&self->fn);
	vfio_space_close(&self->space);
}

/* All of it, not the first line. @tid is a thread of anybody's. */
static void read_stack(int tid, char *stack, size_t size)
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stack", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, stack, size - 1);
		close(fd);
	}
	stack[n > 0 ? n : 0] = '\0';
}

static void *run_writer(void *arg)
{
	struct writer *w = arg;

	atomic_store(&w->tid, gettid());
	w->ret = sysfs_write(w->value, "%s", w->path);
	atomic_store(&w->done, true);
	return NULL;
}

/* Has somebody write to a file of sysfs, and returns when he is in @function, or is done */
static void start_path(struct __test_metadata *_metadata, struct writer *w, const char *path,
		       const char *value, const char *function)
{
	uint64_t end = raw_ms() + PLACE_MS;
	char stack[4096] = "";

	w->value = value;
	snprintf(w->path, sizeof(w->path), "%s", path);
	ASSERT_EQ(0, pthread_create(&w->thread, NULL, run_writer, w));
	while (!strstr(stack, function) && !atomic_load(&w->done)) {
		ASSERT_LT(raw_ms(), end)
			TH_LOG("%s is not in %s: %s", w->path, function, stack);
		read_stack(atomic_load(&w->tid), stack, sizeof(stack));
		sched_yield();
	}
}

/* The same with an attribute of a device */
static void start(struct __test_metadata *_metadata, struct writer *w, const char *bdf,
		  const char *attr, const char *value, const char *function)
{
	char path[sizeof(w->path)];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, attr);
	start_path(_metadata, w, path, value, function);
}

/* Waits until the thread of an interrupt, "aerdrv" or "pciehp", is in @function */
static void wait_for_irq(struct __test_metadata *_metadata, const char *irq,
			 const char *function)
{
	uint64_t end = raw_ms() + PLACE_MS;
	char stack[4096] = "", name[32];
	struct dirent *entry;
	DIR *proc;

	while (!strstr(stack, function)) {
		ASSERT_LT(raw_ms(), end)
			TH_LOG("%s is not in %s: %s", irq, function, stack);
		proc = opendir("/proc");
		ASSERT_NE(NULL, proc);
		while ((entry = readdir(proc)) && !strstr(stack, function)) {
			if (!sysfs_read(name, sizeof(name), "/proc/%s/comm", entry->d_name) &&
			    strstr(name, irq))
				read_stack(atoi(entry->d_name), stack, sizeof(stack));
		}
		closedir(proc);
	}
}

/* VFIO's user goes, and everybody has to be done */
static void expect_done(struct __test_metadata *_metadata, struct _test_data_locks *self,
			int num)
{
	struct timespec end;

	vfio_release(&self->fn);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += DONE_S;
	for (int i = 0; i < num; i++) {
		struct writer *w = &self->writer[i];

		ASSERT_EQ(0, pthread_timedjoin_np(w->thread, NULL, &end))
			TH_LOG("%s hangs", w->path);
		ksft_print_msg("%s: %d\n", w->path, w->ret);
	}
	EXPECT_EQ(0, klog_count(&self->log, KLOG_WARN))
		klog_show(&self->log, KLOG_WARN);
}

/* The PF is put into its slot, and its driver finds it */
static void expect_plugged(struct __test_metadata *_metadata, struct _test_data_locks *self,
			   int host)
{
	uint64_t end = raw_ms() + PLACE_MS;
	char driver[32];

	ASSERT_EQ(0, host_set_present(host, 0, true));
	while (pci_driver(self->pf, driver, sizeof(driver)) || strcmp(driver, ATSX_DRIVER)) {
		ASSERT_LT(raw_ms(), end);
		sched_yield();
	}
}

/* pci_rescan_remove_lock and the lock of the PF; another device is in use */
TEST_F_TIMEOUT(locks, remove, TIMEOUT)
{
	ASSERT_EQ(0, vfio_open(&self->fn, ATSX_EX(1), &self->space));
	start(_metadata, &self->writer[0], self->fn.bdf, "remove", "1", IN_USE);
	start(_metadata, &self->writer[1], self->pf, "remove", "1",
	      "pci_stop_and_remove_bus_device_locked");
	start(_metadata, &self->writer[2], self->pf, "sriov_numvfs", "0",
	      "sriov_numvfs_store");
	expect_done(_metadata, self, 3);
	EXPECT_EQ(0, self->writer[0].ret);
	EXPECT_EQ(0, self->writer[1].ret);
	EXPECT_EQ(0, pci_rescan());
}

/* An attribute of a VF in use, the lock of the port, and the lock of the PF */
TEST_F_TIMEOUT(locks, reset, TIMEOUT)
{
	/* The first to be removed */
	ASSERT_EQ(0, vfio_open(&self->fn, 1, &self->space));
	ASSERT_EQ(0, sysfs_write("flr", "/sys/bus/pci/devices/%s/reset_method", self->pf));
	start(_metadata, &self->writer[0], self->pf, "sriov_numvfs", "0", IN_USE);
	start(_metadata, &self->writer[1], self->pf, "reset", "1", "reset_store");
	start(_metadata, &self->writer[2], self->vf, "reset", "1", "reset_store");
	expect_done(_metadata, self, 3);
	EXPECT_EQ(0, self->writer[0].ret);
	EXPECT_EQ(0, self->writer[1].ret);
}

/* An attribute of the PF in use, and pci_rescan_remove_lock */
TEST_F_TIMEOUT(locks, rescan, TIMEOUT)
{
	ASSERT_EQ(0, vfio_open(&self->fn, 1, &self->space));
	start(_metadata, &self->writer[0], self->pf, "remove", "1", IN_USE);
	start(_metadata, &self->writer[1], self->pf, "rescan", "1", "rescan_store");
	expect_done(_metadata, self, 2);
	EXPECT_EQ(0, self->writer[0].ret);
	EXPECT_EQ(0, pci_rescan());
}

/* pci_bus_sem, and the lock of the PF, whose driver is to be told of an error */
TEST_F_TIMEOUT(locks, recovery, TIMEOUT)
{
	int host = host_open();

	ASSERT_LE(0, host);
	ASSERT_EQ(0, vfio_open(&self->fn, 1, &self->space));
	start(_metadata, &self->writer[0], self->pf, "sriov_numvfs", "0", IN_USE);
	ASSERT_EQ(0, host_aer(host, "DLP"));
	wait_for_irq(_metadata, "aerdrv", "pcie_do_recovery");
	expect_done(_metadata, self, 1);
	EXPECT_EQ(0, self->writer[0].ret);
	EXPECT_LT(0, klog_wait(&self->log, "AER: device recovery (successful|failed)",
			       1000 * DONE_S));
}

/*
 * pci_rescan_remove_lock, the lock of the PF, and the one that pciehp has against resets
 * while it looks at the slot. Who removes the PF is the next to have the first.
 */
TEST_F_TIMEOUT(locks, pulled, TIMEOUT)
{
	int host = host_open();

	ASSERT_LE(0, host);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	ASSERT_EQ(0, sysfs_write("bus", "/sys/bus/pci/devices/%s/reset_method", self->pf));
	ASSERT_EQ(0, vfio_open(&self->fn, ATSX_EX(1), &self->space));
	start(_metadata, &self->writer[0], self->fn.bdf, "remove", "1", IN_USE);
	start(_metadata, &self->writer[1], self->pf, "remove", "1",
	      "pci_stop_and_remove_bus_device_locked");
	ASSERT_EQ(0, host_set_present(host, 0, false));
	wait_for_irq(_metadata, "pciehp", "pciehp_unconfigure_device");
	start(_metadata, &self->writer[2], self->pf, "reset", "1", "pciehp_reset_slot");
	expect_done(_metadata, self, 3);
	EXPECT_EQ(0, self->writer[0].ret);
	EXPECT_EQ(0, self->writer[1].ret);
	EXPECT_EQ(0, pci_rescan());

	expect_plugged(_metadata, self, host);
}

/* What pciehp has of a slot, of which it is unbound while the slot is reset */
TEST_F_TIMEOUT(locks, unserved, TIMEOUT)
{
	static const char driver[] = "/sys/bus/pci_express/drivers/pciehp";
	struct writer *reset = &self->writer[0], *unbind = &self->writer[1];
	char port[BDF_SIZE], service[256] = "", path[128], stack[4096], name[32];
	int host = host_open();
	struct dirent *entry;
	uint64_t end;
	DIR *dir;

	ASSERT_LE(0, host);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	ASSERT_EQ(0, sysfs_write("bus", "/sys/bus/pci/devices/%s/reset_method", self->pf));
	ASSERT_EQ(0, pci_port(self->pf, port));
	dir = opendir(driver);
	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, port, strlen(port)))
			snprintf(service, sizeof(service), "%s", entry->d_name);
	closedir(dir);
	ASSERT_NE('\0', service[0]);

	/* Long enough for an unbind that does not wait for it */
	ASSERT_EQ(0, host_set(host, 0, "reset-param", RESET_MS));
	ASSERT_EQ(0, host_set(host, 0, "reset-policy", ATSX_RESET_LATE));
	start(_metadata, reset, self->pf, "reset", "1", "pciehp_reset_slot");
	snprintf(path, sizeof(path), "%s/unbind", driver);
	start_path(_metadata, unbind, path, service, "pciehp_remove");
	/* When that is done, nobody may be in what belongs to the driver */
	end = raw_ms() + PLACE_MS;
	while (!atomic_load(&unbind->done)) {
		ASSERT_LT(raw_ms(), end);
		sched_yield();
	}
	read_stack(atomic_load(&reset->tid), stack, sizeof(stack));
	EXPECT_EQ(NULL, strstr(stack, "pciehp_reset_slot"))
		TH_LOG("unbound in the middle of the reset: %s", stack);
	expect_done(_metadata, self, 2);
	EXPECT_EQ(0, reset->ret);
	EXPECT_EQ(0, unbind->ret);

	EXPECT_EQ(0, sysfs_write(service, "%s/bind", driver));
	ASSERT_EQ(0, host_set_present(host, 0, false));
	end = raw_ms() + PLACE_MS;
	while (!pci_driver(self->pf, name, sizeof(name))) {
		ASSERT_LT(raw_ms(), end);
		sched_yield();
	}
	expect_plugged(_metadata, self, host);
}

/* The lock of a function that is found while its bus is reset, which is locked for that */
TEST_F_TIMEOUT(locks, added, TIMEOUT)
{
	static const char waits[] = "pci_bridge_wait_for_secondary_bus";
	struct writer *reset = &self->writer[0], *rescan = &self->writer[1];
	char first[BDF_SIZE], bdf[BDF_SIZE], port[BDF_SIZE], driver[32];
	char stack[4096] = "";
	uint64_t end;

	ASSERT_EQ(0, atsx_bdf(ATSX_EX(1), first));
	ASSERT_EQ(0, atsx_bdf(ATSX_EX(2), bdf));
	ASSERT_EQ(0, pci_port(bdf, port));
	end = raw_ms() + TRY_MS;
	while (raw_ms() < end && !strstr(stack, waits)) {
		ASSERT_EQ(0, pci_remove(bdf));
		atomic_store(&reset->done, false);
		atomic_store(&rescan->done, false);
		start(_metadata, reset, port, "reset_subordinate", "1", waits);
		start(_metadata, rescan, first, "rescan", "1", "pci_bus_add_devices");
		read_stack(atomic_load(&reset->tid), stack, sizeof(stack));
		ASSERT_EQ(0, pthread_join(rescan->thread, NULL));
		ASSERT_EQ(0, pthread_join(reset->thread, NULL));
		ASSERT_EQ(0, rescan->ret);
		ASSERT_EQ(0, reset->ret);
		/* Nobody waits for its lock */
		ASSERT_EQ(0, pci_driver(bdf, driver, sizeof(driver)));
		ASSERT_EQ(0, pci_unbind(bdf));
		ASSERT_EQ(0, pci_bind(bdf, ATSX_DRIVER));
	}
	ASSERT_NE(NULL, strstr(stack, waits));
	EXPECT_EQ(0, klog_count(&self->log, KLOG_WARN))
		klog_show(&self->log, KLOG_WARN);
}

TEST_HARNESS_MAIN
