// SPDX-License-Identifier: GPL-2.0

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <regex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define FAIL_FUNCTION	"/sys/kernel/debug/fail_function"

const char *const host_counter[ATSX_CNT_NUM] = ATSX_COUNTER_NAMES;

static int vsysfs_read(char *buf, size_t size, const char *fmt, va_list ap)
{
	char path[256];
	ssize_t len;
	int err, fd;

	vsnprintf(path, sizeof(path), fmt, ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, buf, size - 1);
	err = len < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	buf[len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int sysfs_read(char *buf, size_t size, const char *path, ...)
{
	va_list ap;
	int ret;

	va_start(ap, path);
	ret = vsysfs_read(buf, size, path, ap);
	va_end(ap);
	return ret;
}

int sysfs_write(const char *value, const char *path, ...)
{
	char buf[256];
	va_list ap;
	int ret = 0;
	int fd;

	va_start(ap, path);
	vsnprintf(buf, sizeof(buf), path, ap);
	va_end(ap);

	fd = open(buf, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int pci_bind(const char *bdf, const char *driver)
{
	return sysfs_write(bdf, "/sys/bus/pci/drivers/%s/bind", driver);
}

int pci_unbind(const char *bdf)
{
	return sysfs_write(bdf, PCI_DEVICES "/%s/driver/unbind", bdf);
}

int pci_driver_override(const char *bdf, const char *driver)
{
	/* An empty write is none at all; a newline clears it */
	return sysfs_write(*driver ? driver : "\n",
			   PCI_DEVICES "/%s/driver_override", bdf);
}

/* The last part of what the link points to */
static int sysfs_link(char *name, size_t size, const char *path)
{
	char target[256];
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	char *slash;

	if (len < 0)
		return -errno;
	target[len] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, size, "%s", slash ? slash + 1 : target);
	return 0;
}

int pci_driver(const char *bdf, char *name, size_t size)
{
	char path[256];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", bdf);
	return sysfs_link(name, size, path);
}

int pci_set_numvfs(const char *pf, unsigned int num)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", num);
	return sysfs_write(value, PCI_DEVICES "/%s/sriov_numvfs", pf);
}

int pci_virtfn(const char *pf, unsigned int number, char bdf[BDF_SIZE])
{
	char path[256];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/virtfn%u", pf, number);
	return sysfs_link(bdf, BDF_SIZE, path);
}

bool pci_in_slot(const char *bdf, unsigned int slot)
{
	char address[32];

	return !sysfs_read(address, sizeof(address), "/sys/bus/pci/slots/%u/address", slot) &&
	       !strncmp(address, bdf, strlen(address));
}

int pci_remove(const char *bdf)
{
	return sysfs_write("1", PCI_DEVICES "/%s/remove", bdf);
}

int pci_rescan(void)
{
	return sysfs_write("1", "/sys/bus/pci/rescan");
}

int pci_port(const char *bdf, char port[BDF_SIZE])
{
	char path[64], link[256];
	char *p;
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = '\0';
	p = strrchr(link, '/');
	if (!p)
		return -ENODEV;
	*p = '\0';
	p = strrchr(link, '/');
	if (!p || strlen(p + 1) >= BDF_SIZE)
		return -ENODEV;
	snprintf(port, BDF_SIZE, "%s", p + 1);
	return 0;
}

static int pci_config_open(const char *bdf, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/config", bdf);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Offset of an extended capability (PCIe r6.0, 7.6.3), -ENOENT if it has none */
static int pci_find_ext_cap(int fd, uint16_t id)
{
	/* 960 = (4096 - 256) / 4 is the longest chain without a loop */
	unsigned int left = 960;
	unsigned int pos = 0x100;
	uint32_t header;

	while (pos >= 0x100 && left--) {
		if (pread(fd, &header, sizeof(header), pos) != sizeof(header))
			return -ENOENT;
		if (!header || header == 0xffffffff)
			return -ENOENT;
		if ((header & 0xffff) == id)
			return pos;
		pos = header >> 20 & 0xffc;
	}
	return -ENOENT;
}

#define PCI_EXT_CAP_ATS		0x0f
#define PCI_ATS_CTRL_OFFSET	6

int pci_ats_ctrl(const char *bdf)
{
	int fd = pci_config_open(bdf, O_RDONLY);
	uint16_t ctrl;
	int ret;

	if (fd < 0)
		return fd;
	ret = pci_find_ext_cap(fd, PCI_EXT_CAP_ATS);
	if (ret >= 0) {
		if (pread(fd, &ctrl, sizeof(ctrl), ret + PCI_ATS_CTRL_OFFSET) == sizeof(ctrl))
			ret = ctrl;
		else
			ret = -EIO;
	}
	close(fd);
	return ret;
}

int pci_ats_set_ctrl(const char *bdf, uint16_t ctrl)
{
	int fd = pci_config_open(bdf, O_RDWR);
	int ret;

	if (fd < 0)
		return fd;
	ret = pci_find_ext_cap(fd, PCI_EXT_CAP_ATS);
	if (ret >= 0) {
		if (pwrite(fd, &ctrl, sizeof(ctrl), ret + PCI_ATS_CTRL_OFFSET) == sizeof(ctrl))
			ret = 0;
		else
			ret = -EIO;
	}
	close(fd);
	return ret;
}

#define PCI_CAP_PTR		0x34
#define PCI_CAP_EXP		0x10
#define PCI_SLOT_CTRL_OFFSET	0x18

int pci_slot_ctrl(const char *port)
{
	int fd = pci_config_open(port, O_RDONLY);
	/* As many as fit into 256 bytes */
	unsigned int left = 48;
	uint8_t pos, cap[2];
	uint16_t ctrl;
	int ret = -EIO;

	if (fd < 0)
		return fd;
	if (pread(fd, &pos, sizeof(pos), PCI_CAP_PTR) != sizeof(pos))
		goto out;
	ret = -ENOENT;
	while (pos && left-- && pread(fd, cap, sizeof(cap), pos) == sizeof(cap)) {
		if (cap[0] == PCI_CAP_EXP) {
			if (pread(fd, &ctrl, sizeof(ctrl), pos + PCI_SLOT_CTRL_OFFSET) ==
			    sizeof(ctrl))
				ret = ctrl;
			break;
		}
		pos = cap[1];
	}
out:
	close(fd);
	return ret;
}

#define PCI_COMMAND_OFFSET	4

int pci_command(const char *bdf)
{
	int fd = pci_config_open(bdf, O_RDONLY);
	uint16_t command;
	int ret = -EIO;

	if (fd < 0)
		return fd;
	if (pread(fd, &command, sizeof(command), PCI_COMMAND_OFFSET) == sizeof(command))
		ret = command;
	close(fd);
	return ret;
}

int pci_set_command(const char *bdf, uint16_t command)
{
	int fd = pci_config_open(bdf, O_RDWR);
	int ret = 0;

	if (fd < 0)
		return fd;
	if (pwrite(fd, &command, sizeof(command), PCI_COMMAND_OFFSET) != sizeof(command))
		ret = -EIO;
	close(fd);
	return ret;
}

int iommu_type(const char *bdf, char *type, size_t size)
{
	return sysfs_read(type, size, PCI_DEVICES "/%s/iommu_group/type", bdf);
}

int iommu_set_type(const char *bdf, const char *type)
{
	return sysfs_write(type, PCI_DEVICES "/%s/iommu_group/type", bdf);
}

/* AMD IOMMU 48882, 3.2 and 3.4.13: IotlbSup; PPRSup, GTSup, EPHSup */
#define AMD_CAP_IOTLB	0x1000000
#define AMD_FEATURES	0x4000000000012ull

bool iommu_offers_ats(void)
{
	uint64_t cap, features;
	char buf[32];

	if (sysfs_read(buf, sizeof(buf), "/sys/class/iommu/ivhd0/amd-iommu/cap"))
		return true;
	cap = strtoull(buf, NULL, 16);
	if (sysfs_read(buf, sizeof(buf), "/sys/class/iommu/ivhd0/amd-iommu/features"))
		return false;
	features = strtoull(buf, NULL, 16);
	return (cap & AMD_CAP_IOTLB) && (features & AMD_FEATURES) == AMD_FEATURES;
}

const char *atsx_unfit(char pf[BDF_SIZE], bool strict)
{
	static char why[128];
	char driver[32];
	char type[16];

	if (atsx_bdf(0, pf))
		return "no ats-exerciser on the PCI bus";
	if (strict && (pci_driver(pf, driver, sizeof(driver)) ||
		       strcmp(driver, ATSX_DRIVER))) {
		snprintf(why, sizeof(why), "%s is not bound to " ATSX_DRIVER, pf);
		return why;
	}
	if (iommu_type(pf, type, sizeof(type))) {
		snprintf(why, sizeof(why), "%s has no IOMMU", pf);
		return why;
	}
	if (strict && strcmp(type, "DMA")) {
		snprintf(why, sizeof(why), "the domain of %s is %s: needs iommu.strict=1",
			 pf, type);
		return why;
	}
	if (!iommu_offers_ats())
		return "the IOMMU lacks what Linux wants for ATS";
	return NULL;
}

static bool is_pf(const char *bdf)
{
	unsigned long ids[2] = { ATSX_VENDOR_ID, ATSX_DEVICE_ID };
	const char *other = getenv("vm_ids");
	char vendor[16], device[16];

	if (other && sscanf(other, "%lx:%lx", &ids[0], &ids[1]) != 2)
		return false;
	if (sysfs_read(vendor, sizeof(vendor), PCI_DEVICES "/%s/vendor", bdf) ||
	    sysfs_read(device, sizeof(device), PCI_DEVICES "/%s/device", bdf))
		return false;
	return strtoul(vendor, NULL, 16) == ids[0] && strtoul(device, NULL, 16) == ids[1];
}

/* The PF of exerciser number @left */
static int atsx_find_pf(unsigned int left, char bdf[BDF_SIZE])
{
	struct dirent **list;
	int n = scandir(PCI_DEVICES, &list, NULL, alphasort);
	int ret = -ENODEV;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (ret && is_pf(name) && !left--) {
			snprintf(bdf, BDF_SIZE, "%.*s", BDF_SIZE - 1, name);
			ret = 0;
		}
		free(list[i]);
	}
	free(list);
	return ret;
}

int atsx_bdf(unsigned int index, char bdf[BDF_SIZE])
{
	char pf[BDF_SIZE];
	int ret;

	/* Not the PF's name for a VF that is not there */
	*bdf = '\0';
	ret = atsx_find_pf(index / ATSX_EX(1), pf);
	if (ret)
		return ret;
	index %= ATSX_EX(1);
	if (index)
		return pci_virtfn(pf, index - 1, bdf);
	memcpy(bdf, pf, BDF_SIZE);
	return 0;
}

int atsx_open(const char *bdf)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/ats_exerciser/%s", bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int atsx_mem_alloc(int fd, struct atsx_mem *mem, size_t size)
{
	int ret;

	mem->buf = (struct ats_exerciser_buf) { .size = size };
	ret = atsx_ioctl(fd, ATS_EXERCISER_BUF_ALLOC, &mem->buf);
	if (ret)
		return ret;
	mem->p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      (off_t)mem->buf.id << 20);
	return mem->p == MAP_FAILED ? -errno : 0;
}

int atsx_mem_map(int fd, struct atsx_mem *mem)
{
	return atsx_ioctl(fd, ATS_EXERCISER_BUF_MAP, &mem->buf);
}

int atsx_mem_unmap(int fd, struct atsx_mem *mem)
{
	return atsx_ioctl(fd, ATS_EXERCISER_BUF_UNMAP, &mem->buf);
}

void atsx_mem_fill(struct atsx_mem *mem, uint64_t pattern)
{
	for (size_t i = 0; i < mem->buf.size / sizeof(*mem->p); i++)
		__atomic_store_n(&mem->p[i], pattern, __ATOMIC_RELAXED);
}

size_t atsx_mem_differs(const struct atsx_mem *mem, uint64_t pattern)
{
	size_t differs = 0;

	/* Atomic: the function may have written since the last look */
	for (size_t i = 0; i < mem->buf.size / sizeof(*mem->p); i++)
		differs += __atomic_load_n(&mem->p[i], __ATOMIC_RELAXED) != pattern;
	return differs;
}

int atsx_dma(int fd, const struct atsx_mem *mem, struct ats_exerciser_dma *dma)
{
	int ret;

	dma->addr = mem->buf.iova;
	dma->len = mem->buf.size;
	ret = atsx_ioctl(fd, ATS_EXERCISER_DMA, dma);
	return ret ?: (int)dma->result;
}

int dma(int fd, const struct atsx_mem *mem, uint32_t cmd, uint32_t flags,
	uint64_t pattern)
{
	struct ats_exerciser_dma arg = {
		.cmd = cmd, .flags = flags, .pattern = pattern,
	};

	return atsx_dma(fd, mem, &arg);
}

int cached(int fd, const struct atsx_mem *mem)
{
	struct ats_exerciser_dma arg = { .cmd = ATSX_CMD_LOOKUP };
	int ret = atsx_dma(fd, mem, &arg);

	return ret ? -EIO : (int)arg.count;
}

uint64_t raw_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

int pin_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

int atsx_regs_map(const char *bdf, volatile uint32_t **regs)
{
	char path[256];
	void *p;
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource%d", bdf, ATSX_BAR_REGS);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	p = mmap(NULL, ATSX_BAR_REGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -errno;
	*regs = p;
	return 0;
}

static void regs_write64(volatile uint32_t *regs, unsigned int reg, uint64_t value)
{
	regs[reg / 4] = value;
	regs[reg / 4 + 1] = value >> 32;
}

static uint64_t regs_read64(volatile uint32_t *regs, unsigned int reg)
{
	uint32_t low = regs[reg / 4];

	return low | (uint64_t)regs[reg / 4 + 1] << 32;
}

uint64_t atsx_regs_counter(volatile uint32_t *regs, unsigned int counter)
{
	return regs_read64(regs, ATSX_COUNTER(counter));
}

#define REGS_DMA_TIMEOUT_MS	5000

int atsx_regs_dma(volatile uint32_t *regs, struct ats_exerciser_dma *dma)
{
	uint64_t end = raw_ms() + REGS_DMA_TIMEOUT_MS;

	if (regs[ATSX_ID / 4] != ATSX_ID_MAGIC)
		return -EIO;
	if (regs[ATSX_STATUS / 4] & ATSX_STATUS_BUSY)
		return -EBUSY;
	regs[ATSX_IRQ_ENABLE / 4] = 0;
	regs_write64(regs, ATSX_DMA_ADDR, dma->addr);
	regs[ATSX_DMA_LEN / 4] = dma->len;
	regs[ATSX_DMA_FLAGS / 4] = dma->flags;
	regs[ATSX_DMA_PASID / 4] = dma->pasid;
	regs_write64(regs, ATSX_DMA_PATTERN, dma->pattern);
	regs[ATSX_DMA_CMD / 4] = dma->cmd;

	while ((dma->result = regs[ATSX_DMA_RESULT / 4]) == ATSX_RESULT_BUSY) {
		if (raw_ms() > end)
			return -ETIMEDOUT;
		sched_yield();
	}
	if (regs[ATSX_ID / 4] != ATSX_ID_MAGIC)
		return -EIO;
	dma->data = regs_read64(regs, ATSX_DMA_DATA);
	dma->count = regs[ATSX_DMA_COUNT / 4];
	dma->mismatch = regs[ATSX_DMA_MISMATCH / 4];
	return dma->result;
}

int atsx_fn_open(struct atsx_fn *fn, unsigned int index)
{
	int ret;

	fn->index = index;
	ret = atsx_bdf(index, fn->bdf);
	return ret ?: atsx_fn_open_named(fn);
}

int atsx_fn_open_named(struct atsx_fn *fn)
{
	fn->fd = atsx_open(fn->bdf);
	return fn->fd < 0 ? fn->fd : atsx_regs_map(fn->bdf, &fn->regs);
}

void atsx_fn_close(struct atsx_fn *fn)
{
	munmap((void *)fn->regs, ATSX_BAR_REGS_SIZE);
	close(fn->fd);
	fn->regs = NULL;
	fn->fd = -1;
}

int atsx_fn_policy(struct atsx_fn *fn, uint32_t inv, uint32_t inv_param,
		   uint32_t reset, uint32_t reset_param)
{
	struct ats_exerciser_policy policy = {
		.inv = inv,
		.inv_param = inv_param,
		.reset = reset,
		.reset_param = reset_param,
	};

	return atsx_ioctl(fn->fd, ATS_EXERCISER_SET_POLICY, &policy);
}

static int granted(struct atsx_fn *fn, const struct atsx_mem *mem, uint32_t cmd,
		   uint32_t flags)
{
	struct ats_exerciser_dma arg = {
		.cmd = cmd, .flags = flags, .addr = mem->buf.iova, .len = mem->buf.size,
	};

	return atsx_regs_dma(fn->regs, &arg);
}

int atsx_fn_granted(struct atsx_fn *fn, const struct atsx_mem *mem, int what)
{
	int command = pci_command(fn->bdf);
	int ctrl = pci_ats_ctrl(fn->bdf);
	bool enable;
	int ret = 0;
	int result;

	if (command < 0 || ctrl < 0)
		return -EIO;
	if (!(command & PCI_COMMAND_MASTER))
		pci_set_command(fn->bdf, command | PCI_COMMAND_MASTER);

	/* First what is in the ATC: setting ATS Enable clears it (PCIe r6.0, 10.3.7) */
	if (what & GRANT_TRANSLATED) {
		result = granted(fn, mem, ATSX_CMD_READ, ATSX_DMA_TRANSLATED);
		if (result < 0)
			return result;
		if (result == ATSX_RESULT_OK)
			ret |= GRANT_TRANSLATED;
	}
	if (what & GRANT_REQUEST) {
		/* Again, if quarantine clears ATS Enable right now */
		for (int i = 0; i < 2; i++) {
			ctrl = pci_ats_ctrl(fn->bdf);
			enable = ctrl >= 0 && !(ctrl & PCI_ATS_ENABLE);
			if (enable)
				pci_ats_set_ctrl(fn->bdf, ctrl | PCI_ATS_ENABLE);
			result = granted(fn, mem, ATSX_CMD_TRANSLATE, 0);
			if (enable)
				pci_ats_set_ctrl(fn->bdf, ctrl);
			if (result != ATSX_RESULT_DISABLED)
				break;
		}
		if (result < 0)
			return result;
		if (result == ATSX_RESULT_OK)
			ret |= GRANT_REQUEST;
	}
	if (what & GRANT_UNTRANSLATED) {
		result = granted(fn, mem, ATSX_CMD_READ, 0);
		if (result < 0)
			return result;
		if (result == ATSX_RESULT_OK)
			ret |= GRANT_UNTRANSLATED;
	}
	if (!(command & PCI_COMMAND_MASTER))
		pci_set_command(fn->bdf, command);
	return ret;
}

int atsx_fn_wait_refused(struct atsx_fn *fn, const struct atsx_mem *mem, int what,
			 int ms)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t end = raw_ms() + ms;
	int ret;

	while ((ret = atsx_fn_granted(fn, mem, what)) > 0 && raw_ms() < end)
		nanosleep(&pause, NULL);
	return ret;
}

int klog_open(struct klog *log, bool from_boot)
{
	*log = (struct klog) {};
	log->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log->fd < 0)
		return -errno;
	if (lseek(log->fd, 0, from_boot ? SEEK_SET : SEEK_END) < 0)
		return -errno;
	return 0;
}

void klog_close(struct klog *log)
{
	close(log->fd);
	free(log->text);
	*log = (struct klog) { .fd = -1 };
}

/* Appends what the log has said since the last call, a line a record */
static int klog_read(struct klog *log)
{
	char record[8192];

	for (;;) {
		ssize_t len = read(log->fd, record, sizeof(record));
		char *text, *end;

		if (len < 0) {
			if (errno == EAGAIN)
				return 0;
			/* Records were overwritten before they were read */
			if (errno == EPIPE || errno == EINTR)
				continue;
			return -errno;
		}
		/* "priority,...;text\n KEY=value\n", the facility above bit 3 */
		text = memchr(record, ';', len);
		if (!text)
			continue;
		/* What user space wrote there, such as the output of this test */
		if (strtoul(record, NULL, 10) >> 3)
			continue;
		text++;
		end = memchr(text, '\n', record + len - text);
		len = (end ?: record + len) - text;

		log->text = realloc(log->text, log->len + len + 2);
		if (!log->text)
			return -ENOMEM;
		memcpy(log->text + log->len, text, len);
		log->len += len;
		log->text[log->len++] = '\n';
		log->text[log->len] = '\0';
	}
}

void klog_mark(struct klog *log)
{
	klog_read(log);
	log->len = 0;
}

/* The first @show of them are printed */
static int klog_match(struct klog *log, const char *regex, int show)
{
	regex_t re;
	int count = 0;
	int ret;

	ret = klog_read(log);
	if (ret)
		return ret;
	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB))
		return -EINVAL;

	for (char *line = log->text; line && line < log->text + log->len;) {
		char *end = strchr(line, '\n');

		*end = '\0';
		if (!regexec(&re, line, 0, NULL, 0)) {
			if (count++ < show)
				fprintf(stderr, "# log: %s\n", line);
		}
		*end = '\n';
		line = end + 1;
	}
	regfree(&re);
	return count;
}

int klog_count(struct klog *log, const char *regex)
{
	int ret = klog_match(log, regex, 0);

	/* A log that cannot be read must not pass for one without such lines */
	if (ret < 0) {
		fprintf(stderr, "# kernel log, %s: %s\n", regex, strerror(-ret));
		abort();
	}
	return ret;
}

int klog_wait(struct klog *log, const char *regex, int ms)
{
	struct pollfd p = { .fd = log->fd, .events = POLLIN };
	struct timespec start, now;
	int left = ms;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!(ret = klog_match(log, regex, 0)) && left > 0) {
		if (poll(&p, 1, left) < 0 && errno != EINTR)
			return -errno;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = ms - (now.tv_sec - start.tv_sec) * 1000 -
		       (now.tv_nsec - start.tv_nsec) / 1000000;
	}
	return ret;
}

void klog_show(struct klog *log, const char *regex)
{
	klog_match(log, regex, 8);
}

int fail_function(const char *function, int err)
{
	char value[32];
	int ret;

	ret = sysfs_write(function, FAIL_FUNCTION "/inject");
	if (ret)
		return ret;
	snprintf(value, sizeof(value), "%#llx", (long long)err);
	ret = sysfs_write(value, FAIL_FUNCTION "/%s/retval", function);
	if (ret)
		return ret;
	ret = sysfs_write("100", FAIL_FUNCTION "/probability");
	if (ret)
		return ret;
	/* Its own reports would stand in the log as trouble */
	ret = sysfs_write("0", FAIL_FUNCTION "/verbose");
	if (ret)
		return ret;
	return sysfs_write("-1", FAIL_FUNCTION "/times");
}

int fail_function_off(void)
{
	/* A line without a name removes all */
	return sysfs_write("\n", FAIL_FUNCTION "/inject");
}

#define HOST_TIMEOUT_MS	10000

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int uevents_open(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int ret;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

int uevent_next(int uevents, const char *bdf, const char *key, char *value, size_t size,
		int ms)
{
	struct pollfd pfd = { .fd = uevents, .events = POLLIN };
	uint64_t end = raw_ms() + ms;
	size_t len = strlen(key);
	char text[4096];

	for (;;) {
		uint64_t now = raw_ms();
		const char *name;
		ssize_t n;

		if (now >= end || poll(&pfd, 1, end - now) <= 0)
			return -ETIMEDOUT;
		n = recv(uevents, text, sizeof(text) - 1, 0);
		if (n <= 0)
			continue;
		text[n] = '\0';
		/* "change@/devices/.../<device>", and then a string a variable */
		name = strrchr(text, '/');
		if (!name || strcmp(name + 1, bdf))
			continue;
		for (const char *p = text; p < text + n; p += strlen(p) + 1) {
			if (strncmp(p, key, len) || p[len] != '=')
				continue;
			snprintf(value, size, "%s", p + len + 1);
			return 0;
		}
	}
}

static int host_write(int host, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t done = write(host, text, len);

		if (done < 0)
			return -errno;
		text += done;
		len -= done;
	}
	return 0;
}

/* One line of QMP; a longer one is cut */
static int host_read_line(int host, char *line, size_t size, long end)
{
	size_t len = 0;

	for (;;) {
		struct pollfd pfd = { .fd = host, .events = POLLIN };
		long left = end - now_ms();
		char c;

		if (left <= 0 || !poll(&pfd, 1, left))
			return -ETIMEDOUT;
		if (read(host, &c, 1) != 1)
			return -EIO;
		if (c == '\n') {
			line[len] = '\0';
			return 0;
		}
		if (len < size - 1)
			line[len++] = c;
	}
}

/*
 * Sends a command and waits for its answer, which is known by its id: what else
 * comes are events, the monitor's greeting, and the rest of lines of which the
 * serial port lost a part while nobody had opened it.
 */
static int host_execute(int host, const char *command, char *answer, size_t size)
{
	static unsigned int id;
	long end = now_ms() + HOST_TIMEOUT_MS;
	char tag[32];
	char text[512];
	int ret;

	id++;
	snprintf(tag, sizeof(tag), "\"id\": \"%d-%u\"", getpid(), id);
	snprintf(text, sizeof(text), "{%s, %s}\n", command, tag);
	ret = host_write(host, text);
	if (ret)
		return ret;
	do {
		ret = host_read_line(host, answer, size, end);
		if (ret)
			return ret;
	} while (!strstr(answer, tag));
	return 0;
}

int host_open(void)
{
	static const char *const ports[] = { "/dev/ttyS1", "/dev/ttyAMA1" };
	char answer[512];
	struct termios tio;
	int host = -1;
	int ret;

	for (size_t i = 0; host < 0 && i < sizeof(ports) / sizeof(*ports); i++)
		host = open(ports[i], O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (host < 0)
		return -ENODEV;

	/* Also fails if the port is registered but no UART answers */
	if (tcgetattr(host, &tio)) {
		ret = -ENODEV;
		goto err;
	}
	cfmakeraw(&tio);
	tio.c_cflag |= CLOCAL | CREAD;
	tio.c_cc[VMIN] = 1;
	tio.c_cc[VTIME] = 0;
	if (tcsetattr(host, TCSANOW, &tio)) {
		ret = -errno;
		goto err;
	}

	/* An error if somebody has done it before, which is as good */
	ret = host_execute(host, "\"execute\": \"qmp_capabilities\"", answer,
			   sizeof(answer));
	if (ret)
		goto err;
	return host;

err:
	close(host);
	return ret;
}

#define HOST_PROPERTY	"\"path\": \"/machine/peripheral/ex%u\", \"property\": \"fn%u-%s\""

/* @answer has to contain @expected */
static int host_ask(int host, const char *command, char *answer, size_t size,
		    const char *expected)
{
	int ret = host_execute(host, command, answer, size);

	if (!ret && !strstr(answer, expected)) {
		fprintf(stderr, "# host: %s\n", answer);
		return -EPROTO;
	}
	return ret;
}

#define HOST_RETURN	"\"return\": "

int host_get(int host, unsigned int index, const char *name, uint64_t *value)
{
	char command[256];
	char answer[512];
	int ret;

	snprintf(command, sizeof(command),
		 "\"execute\": \"qom-get\", \"arguments\": {" HOST_PROPERTY "}",
		 index / ATSX_EX(1), index % ATSX_EX(1), name);
	ret = host_ask(host, command, answer, sizeof(answer), HOST_RETURN);
	if (!ret)
		*value = strtoull(strstr(answer, HOST_RETURN) + strlen(HOST_RETURN),
				  NULL, 10);
	return ret;
}

int host_set(int host, unsigned int index, const char *name, uint64_t value)
{
	char command[256];
	char answer[512];

	snprintf(command, sizeof(command),
		 "\"execute\": \"qom-set\", \"arguments\": {" HOST_PROPERTY ", \"value\": %llu}",
		 index / ATSX_EX(1), index % ATSX_EX(1), name, (unsigned long long)value);
	return host_ask(host, command, answer, sizeof(answer), HOST_RETURN);
}

#define HOST_EXECUTE(c)	"\"execute\": \"" c "\", \"arguments\": "

int host_set_present(int host, unsigned int ex, bool present)
{
	char command[256];
	char answer[512];

	snprintf(command, sizeof(command), HOST_EXECUTE("qom-set")
		 "{\"path\": \"/machine/peripheral/ex%u\", \"property\": \"present\", \"value\": %s}",
		 ex, present ? "true" : "false");
	return host_ask(host, command, answer, sizeof(answer), HOST_RETURN);
}

int host_unplug(int host, unsigned int ex)
{
	char command[256];
	char answer[512];

	snprintf(command, sizeof(command), HOST_EXECUTE("device_del")
		 "{\"id\": \"ex%u\"}", ex);
	return host_ask(host, command, answer, sizeof(answer), HOST_RETURN);
}

int host_has(int host, unsigned int ex)
{
	static const char *const command = HOST_EXECUTE("qom-list")
		"{\"path\": \"/machine/peripheral\"}";
	char answer[1024];
	char name[32];
	int ret;

	ret = host_ask(host, command, answer, sizeof(answer), HOST_RETURN);
	snprintf(name, sizeof(name), "\"name\": \"ex%u\"", ex);
	return ret ?: !!strstr(answer, name);
}

int host_plug(int host, unsigned int ex, const char *bus)
{
	char command[256];
	char answer[512];

	snprintf(command, sizeof(command), HOST_EXECUTE("device_add")
		 "{\"driver\": \"ats-exerciser\", \"id\": \"ex%u\", \"bus\": \"%s\"}",
		 ex, bus);
	return host_ask(host, command, answer, sizeof(answer), HOST_RETURN);
}

int host_aer(int host, const char *error)
{
	char command[256];
	char answer[512];

	snprintf(command, sizeof(command), HOST_EXECUTE("human-monitor-command")
		 "{\"command-line\": \"pcie_aer_inject_error ex0 %s\"}", error);
	/* "OK id: ..." */
	return host_ask(host, command, answer, sizeof(answer), HOST_RETURN "\"OK");
}
