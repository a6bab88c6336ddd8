// SPDX-License-Identifier: GPL-2.0
/*
 * First process of a test guest.
 *
 * Mounts the file systems the tests use, loads the modules of /modules, runs
 * one test case and powers the guest off. Without a test it gives a shell.
 *
 * The kernel hands options it does not know to its first process as
 * environment variables; ours are
 *
 *   vm_test=<file>.<case>	run /tests/<file> for this case alone
 *   vm_qmp=<tty>		serial port which carries QMP to the tests
 *   vm_ids=<vendor>:<device>	of an exerciser's PF with other IDs, in hex
 *   vm_wait=1			read more options from the console before anything else is
 *				done: the runner copies a guest that waits, and lets each
 *				copy run another test
 *
 * What a test prints goes through /dev/kmsg, so that it stands in one order
 * with the kernel's own lines and no two of them are mixed within a line.
 * scripts/run-tests looks for the lines that start with "vm: ".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "hw/ats_exerciser_regs.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"

/* A record of /dev/kmsg is cut by the kernel at a little under 1 KiB */
#define LINE_LEN	900

static int kmsg = -1;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
	char line[LINE_LEN + 8];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	if (write(kmsg >= 0 ? kmsg : STDOUT_FILENO, line, n) < 0)
		abort();
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* A machine without a power switch: the runner reads this line */
	say("<3>vm: cannot power off: %s\n", strerror(errno));
	for (;;)
		pause();
}

static void __attribute__((noreturn)) die(const char *what)
{
	say("<3>vm: %s: %s\n", what, strerror(errno));
	power_off();
}

static void mount_at(const char *type, const char *dir, bool required)
{
	mkdir(dir, 0755);
	/* devtmpfs may have been mounted by the kernel */
	if (mount(type, dir, type, 0, NULL) && errno != EBUSY && required)
		die(dir);
}

/*
 * Opens a serial port with echo off from the first byte on.
 *
 * The monitor greets at once. Echoed, its greeting would come back to it as
 * commands, its complaints about them would be echoed as well, and QEMU hangs
 * when its own CPU thread writes to its own monitor faster than that reads.
 *
 * A port has echo on when it is opened first. What it receives reaches the line
 * discipline through a kworker, so until the settings are made no kworker may
 * run: real-time tasks occupy every CPU.
 */
static int open_raw(const char *tty)
{
	const struct sched_param first = { .sched_priority = 2 };
	const struct sched_param second = { .sched_priority = 1 };
	const struct sched_param normal = {};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	atomic_int *ready;
	struct termios t;
	pid_t pid[64];
	int fd;

	ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ready == MAP_FAILED || cpus > 64)
		die("open_raw");
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler");
	for (long i = 0; i < cpus; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork");
		if (!pid[i]) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(i, &set);
			if (sched_setaffinity(0, sizeof(set), &set) ||
			    sched_setscheduler(0, SCHED_FIFO, &second))
				_exit(1);
			atomic_fetch_add(ready, 1);
			for (;;)
				;
		}
	}
	/* The one on our own CPU runs when we sleep */
	while (atomic_load(ready) < cpus)
		usleep(100);

	fd = open(tty, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || tcgetattr(fd, &t))
		die(tty);
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	if (tcsetattr(fd, TCSANOW, &t))
		die(tty);

	for (long i = 0; i < cpus; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	sched_setscheduler(0, SCHED_OTHER, &normal);
	munmap(ready, sizeof(*ready));
	return fd;
}

/*
 * The port stays open for as long as the guest runs, so that its settings stay.
 * 0xff makes the monitor forget what it may have received at boot; everything up
 * to its reply to a request that we know again is dropped. The tests find a
 * silent line, with the monitor still in capabilities negotiation.
 */
static void prepare_qmp(const char *tty, int fd)
{
	static const char request[] = "\xff{\"execute\":\"query-status\",\"id\":\"vm-init\"}\n";
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[512];
	size_t n = 0;

	if (write(fd, request, strlen(request)) != (ssize_t)strlen(request))
		die(tty);
	for (;;) {
		if (poll(&p, 1, 5000) != 1) {
			errno = ETIMEDOUT;
			die(tty);
		}
		if (read(fd, line + n, 1) != 1)
			die(tty);
		if (line[n] == '\n') {
			line[n] = 0;
			if (strstr(line, "\"vm-init\""))
				return;
			n = 0;
		} else if (line[n] && n < sizeof(line) - 1) {
			n++;
		}
	}
}

static int is_module(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 3 && !strcmp(d->d_name + n - 3, ".ko");
}

static void load_modules(void)
{
	struct dirent **list;
	int n = scandir("/modules", &list, is_module, alphasort);

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		int fd;

		snprintf(path, sizeof(path), "/modules/%s", list[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			die(path);
		close(fd);
	}
}

static unsigned int vendor_id = ATSX_VENDOR_ID, device_id = ATSX_DEVICE_ID;

/* The driver does not know a PF with these IDs by itself */
static void use_ids(const char *ids)
{
	static const char new_id[] = "/sys/bus/pci/drivers/ats_exerciser/new_id";
	int fd;

	if (sscanf(ids, "%x:%x", &vendor_id, &device_id) != 2) {
		errno = EINVAL;
		die(ids);
	}
	fd = open(new_id, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%x %x", vendor_id, device_id) < 0)
		die(new_id);
	close(fd);
}

/* Passes whole lines on; what is left of the last one waits for its end */
static size_t relay(char *buf, size_t len, bool last)
{
	char *start = buf;
	char *nl;

	while ((nl = memchr(start, '\n', buf + len - start))) {
		say("<5>%.*s\n", (int)(nl - start), start);
		start = nl + 1;
	}
	len -= start - buf;
	if (len && (last || len >= LINE_LEN)) {
		say("<5>%.*s\n", (int)len, start);
		len = 0;
	}
	memmove(buf, start, len);
	return len;
}

static void run_test(const char *name)
{
	char file[64], path[96], buf[LINE_LEN];
	const char *dot = strchr(name, '.');
	bool ended = false;
	size_t have = 0;
	int out[2], sfd, status = 0;
	sigset_t set;
	pid_t pid;

	if (!dot || dot - name >= (int)sizeof(file)) {
		errno = EINVAL;
		die(name);
	}
	snprintf(file, sizeof(file), "%.*s", (int)(dot - name), name);
	snprintf(path, sizeof(path), "/tests/%s", file);

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sfd < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK))
		die("pipe");

	say("<5>vm: start %s\n", name);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		sigprocmask(SIG_UNBLOCK, &set, NULL);
		setsid();
		/* The harness expects a pipe that blocks */
		fcntl(out[1], F_SETFL, 0);
		dup2(null, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		if (chdir("/tests"))
			_exit(127);
		execl(path, file, "-r", name, NULL);
		dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
		_exit(127);
	}
	close(out[1]);

	/*
	 * The test is over when its process is, even if one of its children
	 * still holds the pipe.
	 */
	while (!ended) {
		struct pollfd p[2] = {
			{ .fd = sfd, .events = POLLIN },
			{ .fd = out[0], .events = POLLIN },
		};
		struct signalfd_siginfo si;
		ssize_t n;
		pid_t who;
		int st;

		/* After the end of the file only the process matters */
		if (poll(p, out[0] < 0 ? 1 : 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (read(sfd, &si, sizeof(si)) < 0 && errno != EAGAIN)
			die("signalfd");
		while ((who = waitpid(-1, &st, WNOHANG)) > 0) {
			if (who == pid) {
				status = st;
				ended = true;
			}
		}
		while (out[0] >= 0 &&
		       (n = read(out[0], buf + have, sizeof(buf) - have)) >= 0) {
			if (!n) {
				close(out[0]);
				out[0] = -1;
				break;
			}
			have = relay(buf, have + n, false);
		}
	}
	relay(buf, have, true);

	if (WIFSIGNALED(status))
		say("<5>vm: end %s signal=%d\n", name, WTERMSIG(status));
	else
		say("<5>vm: end %s status=%d\n", name, WEXITSTATUS(status));
}

static unsigned long read_id(const char *dev, const char *file)
{
	char path[PATH_MAX], buf[32] = "";
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", dev, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = 0;
	close(fd);
	return strtoul(buf, NULL, 16);
}

static void say_counters(const char *dev, int device, int fn)
{
	static const char * const names[ATSX_CNT_NUM] = ATSX_COUNTER_NAMES;
	char path[PATH_MAX], line[LINE_LEN];
	volatile uint32_t *regs;
	int fd, n = 0;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource%d", dev, ATSX_BAR_REGS);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	regs = mmap(NULL, ATSX_BAR_REGS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (regs == MAP_FAILED)
		return;

	/* A function whose memory decoding is off reads all ones */
	if (regs[ATSX_ID / 4] != ATSX_ID_MAGIC) {
		say("<5># ex%d fn=%d: registers cannot be read\n", device, fn);
	} else {
		for (int i = 0; i < ATSX_CNT_NUM; i++) {
			uint64_t lo = regs[ATSX_COUNTER(i) / 4];
			uint64_t hi = regs[ATSX_COUNTER(i) / 4 + 1];

			n += snprintf(line + n, sizeof(line) - n, " %s=%llu", names[i],
				      (unsigned long long)(hi << 32 | lo));
		}
		say("<5># counters dev=ex%d fn=%d%s\n", device, fn, line);
	}
	munmap((void *)regs, ATSX_BAR_REGS_SIZE);
}

/*
 * The guest's last reading of every function of every exerciser. The runner
 * compares it with the host's own.
 */
static void say_all_counters(void)
{
	struct dirent **list;
	int n = scandir(PCI_DEVICES, &list, NULL, alphasort);
	int device = 0;

	for (int i = 0; i < n; i++) {
		const char *pf = list[i]->d_name;

		if (pf[0] == '.' || read_id(pf, "vendor") != vendor_id ||
		    read_id(pf, "device") != device_id)
			continue;
		say_counters(pf, device, 0);
		for (int vf = 0;; vf++) {
			char path[PATH_MAX], target[PATH_MAX];
			ssize_t len;

			snprintf(path, sizeof(path), PCI_DEVICES "/%s/virtfn%d", pf, vf);
			len = readlink(path, target, sizeof(target) - 1);
			if (len < 0)
				break;
			target[len] = 0;
			say_counters(basename(target), device, vf + 1);
		}
		device++;
	}
}

static void shell(void)
{
	char name[64] = "", path[80];
	pid_t pid, who;
	int fd;

	if (access("/bin/busybox", X_OK))
		die("no vm_test= on the command line and no /bin/busybox");
	pid = fork();
	if (!pid) {
		execl("/bin/busybox", "busybox", "--install", "-s", "/bin", NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);

	/* /dev/console cannot be a controlling terminal, what is behind it can */
	fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, name, sizeof(name) - 1) < 0)
		die("console");
	name[strcspn(name, "\n ")] = 0;
	snprintf(path, sizeof(path), "/dev/%s", name);

	pid = fork();
	if (!pid) {
		int tty;

		setsid();
		tty = open(path, O_RDWR);
		ioctl(tty, TIOCSCTTY, 1);
		dup2(tty, STDIN_FILENO);
		dup2(tty, STDOUT_FILENO);
		dup2(tty, STDERR_FILENO);
		setenv("PATH", "/bin:/tests", 1);
		setenv("HOME", "/", 1);
		setenv("PS1", "guest# ", 1);
		execl("/bin/busybox", "sh", NULL);
		_exit(127);
	}
	do
		who = wait(NULL);
	while (who != pid && (who > 0 || errno == EINTR));
}

/* The machines boot quietly: see vm_command() */
static void be_loud(void)
{
	int fd = open("/proc/sys/kernel/printk", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "8", 1) != 1)
		say("vm: the console stays quiet: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* sysctl.<name>=<value>, which the kernel itself takes at boot only */
static void set_sysctl(char *name, const char *value)
{
	char path[PATH_MAX];
	int fd;

	for (char *c = name; *c; c++)
		if (*c == '.')
			*c = '/';
	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0) {
		/* As the kernel does: not every configuration has it */
		say("<4>vm_wait: there is no %s\n", path);
		return;
	}
	if (dprintf(fd, "%s", value) < 0)
		die(path);
	close(fd);
}

/*
 * Whatever depends on the time or on the host has to come later: it would be the same in
 * all copies.
 */
static void wait_for_options(void)
{
	char line[2048];
	struct termios t;
	ssize_t n;

	if (tcgetattr(STDIN_FILENO, &t))
		die("console");
	t.c_lflag &= ~ECHO;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t))
		die("console");
	say("<5>vm: ready\n");
	n = read(STDIN_FILENO, line, sizeof(line) - 1);
	if (n <= 0)
		die("console");
	line[n] = 0;
	for (char *word = strtok(line, "\n "); word; word = strtok(NULL, "\n ")) {
		char *value = strchr(word, '=');

		if (!value) {
			errno = EINVAL;
			die(word);
		}
		*value++ = 0;
		if (!strncmp(word, "sysctl.", strlen("sysctl.")))
			set_sysctl(word + strlen("sysctl."), value);
		else if (setenv(word, value, 1))
			die(word);
	}
}

int main(void)
{
	const char *test, *qmp, *ids;
	int qmp_fd = -1;

	mount_at("devtmpfs", "/dev", true);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	mount_at("proc", "/proc", true);
	be_loud();
	mount_at("sysfs", "/sys", true);
	mount_at("debugfs", "/sys/kernel/debug", true);
	/* Not every kernel configuration has these */
	mount_at("tracefs", "/sys/kernel/tracing", false);
	mount_at("tmpfs", "/tmp", false);

	qmp = getenv("vm_qmp");
	ids = getenv("vm_ids");
	if (qmp)
		qmp_fd = open_raw(qmp);
	load_modules();
	if (ids)
		use_ids(ids);
	if (getenv("vm_wait"))
		wait_for_options();
	if (qmp)
		prepare_qmp(qmp, qmp_fd);
	test = getenv("vm_test");
	if (test) {
		run_test(test);
		say_all_counters();
		say("<5>vm: done\n");
	} else {
		shell();
	}
	power_off();
}
