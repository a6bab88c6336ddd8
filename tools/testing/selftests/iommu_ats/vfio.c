// SPDX-License-Identifier: GPL-2.0

#include <dirent.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vfio.h"

#define VFIO_DRIVER		"vfio-pci"

/* The Command register, as in lib.h */
#define PCI_COMMAND		4
#define PCI_COMMAND_MEMORY	0x0002

/* The clock of the durations in struct ats_exerciser_buf */
static uint64_t raw_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* -errno, and which call it was: there are many of them behind one function */
static int failed(const char *what)
{
	int err = errno;

	ksft_print_msg("vfio: %s: %s\n", what, strerror(err));
	return -err;
}

int vfio_space_open(struct vfio_space *space)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int err;

	space->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (space->iommufd < 0)
		return failed("/dev/iommu");
	if (ioctl(space->iommufd, IOMMU_IOAS_ALLOC, &alloc)) {
		err = failed("IOMMU_IOAS_ALLOC");
		close(space->iommufd);
		space->iommufd = -1;
		return err;
	}
	space->ioas = alloc.out_ioas_id;
	return 0;
}

void vfio_space_close(struct vfio_space *space)
{
	close(space->iommufd);
	space->iommufd = -1;
}

int vfio_mem_alloc(struct atsx_mem *mem, size_t size)
{
	mem->buf = (struct ats_exerciser_buf) { .size = size };
	/* Shared: a pinned page must stay the one that this process sees */
	mem->p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return mem->p == MAP_FAILED ? -errno : 0;
}

int vfio_mem_map(struct vfio_space *space, struct atsx_mem *mem)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = space->ioas,
		.user_va = (uintptr_t)mem->p,
		.length = mem->buf.size,
		.iova = mem->buf.iova,
	};
	uint64_t start = raw_ns();

	if (ioctl(space->iommufd, IOMMU_IOAS_MAP, &map))
		return failed("IOMMU_IOAS_MAP");
	mem->buf.duration_ns = raw_ns() - start;
	return 0;
}

static int ioas_unmap(struct vfio_space *space, uint64_t iova, uint64_t length,
		      uint64_t *duration_ns)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = space->ioas,
		.iova = iova,
		.length = length,
	};
	uint64_t start = raw_ns();

	if (ioctl(space->iommufd, IOMMU_IOAS_UNMAP, &unmap))
		return failed("IOMMU_IOAS_UNMAP");
	if (duration_ns)
		*duration_ns = raw_ns() - start;
	return 0;
}

int vfio_mem_unmap(struct vfio_space *space, struct atsx_mem *mem)
{
	uint64_t duration_ns;
	int ret;

	ret = ioas_unmap(space, mem->buf.iova, mem->buf.size, &duration_ns);
	if (!ret)
		mem->buf.duration_ns = duration_ns;
	return ret;
}

int vfio_unmap_all(struct vfio_space *space, uint64_t *duration_ns)
{
	return ioas_unmap(space, 0, UINT64_MAX, duration_ns);
}

/* The character device of a function that is bound to vfio-pci */
static int vfio_cdev_open(const char *bdf)
{
	struct dirent *entry;
	char path[300];
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		return failed(path);
	errno = ENODEV;
	while (fd < 0 && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		fd = failed(path);
	closedir(dir);
	return fd;
}

/* Where in the file the region starts */
static int64_t vfio_region(struct atsx_fn *fn, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(fn->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return failed("VFIO_DEVICE_GET_REGION_INFO");
	return info.offset;
}

int vfio_enable(struct atsx_fn *fn)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	int64_t config = vfio_region(fn, VFIO_PCI_CONFIG_REGION_INDEX);

	if (config < 0)
		return config;
	if (pwrite(fn->fd, &command, sizeof(command), config + PCI_COMMAND) !=
	    sizeof(command))
		return failed("PCI_COMMAND");
	return 0;
}

int vfio_open(struct atsx_fn *fn, unsigned int index, struct vfio_space *space)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = space->iommufd,
	};
	char driver[32];
	int64_t offset;
	void *regs;
	int ret;

	*fn = (struct atsx_fn) { .index = index, .fd = -1 };
	ret = atsx_bdf(index, fn->bdf);
	if (ret)
		return ret;
	if (pci_driver(fn->bdf, driver, sizeof(driver)) || strcmp(driver, VFIO_DRIVER)) {
		ret = pci_driver_override(fn->bdf, VFIO_DRIVER);
		if (ret)
			return ret;
		ret = pci_unbind(fn->bdf);
		if (ret)
			return ret;
		ret = pci_bind(fn->bdf, VFIO_DRIVER);
		if (ret)
			return ret;
	}
	fn->fd = vfio_cdev_open(fn->bdf);
	if (fn->fd < 0)
		return fn->fd;
	if (ioctl(fn->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return failed("VFIO_DEVICE_BIND_IOMMUFD");

	ret = vfio_enable(fn);
	if (ret)
		return ret;
	offset = vfio_region(fn, VFIO_PCI_BAR0_REGION_INDEX + ATSX_BAR_REGS);
	if (offset < 0)
		return offset;
	regs = mmap(NULL, ATSX_BAR_REGS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fn->fd, offset);
	if (regs == MAP_FAILED)
		return failed("mmap of BAR 0");
	fn->regs = regs;
	/* What follows raises SIGBUS if the function is away: vfio_release() has to know */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return fn->regs[ATSX_ID / 4] == ATSX_ID_MAGIC ? 0 : -EIO;
}

void vfio_release(struct atsx_fn *fn)
{
	/* What is mapped holds the file as well */
	if (fn->regs)
		munmap((void *)fn->regs, ATSX_BAR_REGS_SIZE);
	if (fn->fd >= 0)
		close(fn->fd);
	fn->regs = NULL;
	fn->fd = -1;
}

void vfio_close(struct atsx_fn *fn)
{
	vfio_release(fn);
	pci_unbind(fn->bdf);
	pci_driver_override(fn->bdf, "");
	pci_bind(fn->bdf, ATSX_DRIVER);
	*fn = (struct atsx_fn) { .fd = -1 };
}

int vfio_attach(struct atsx_fn *fn, struct vfio_space *space)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = space->ioas,
	};

	/* No word of a failure: some are expected */
	return atsx_ioctl(fn->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int vfio_detach(struct atsx_fn *fn)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return atsx_ioctl(fn->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int vfio_reset(struct atsx_fn *fn)
{
	return atsx_ioctl(fn->fd, VFIO_DEVICE_RESET, NULL);
}

int vfio_low_power_enter(struct atsx_fn *fn, int wakeup)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} arg = {
		.feature = {
			.argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
		},
		.entry.wakeup_eventfd = wakeup,
	};

	return atsx_ioctl(fn->fd, VFIO_DEVICE_FEATURE, &arg);
}

int vfio_low_power_exit(struct atsx_fn *fn)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
	};

	return atsx_ioctl(fn->fd, VFIO_DEVICE_FEATURE, &feature);
}

int vfio_errors(struct atsx_fn *fn)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = {
		.set = {
			.argsz = sizeof(irq),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_ERR_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};

	if (irq.fd < 0)
		return failed("eventfd");
	if (ioctl(fn->fd, VFIO_DEVICE_SET_IRQS, &irq))
		return failed("VFIO_DEVICE_SET_IRQS");
	return irq.fd;
}

void vfio_inv_policy(struct atsx_fn *fn, uint32_t inv, uint32_t inv_param)
{
	/* The parameter first: a policy takes effect when it is written */
	fn->regs[ATSX_INV_PARAM / 4] = inv_param;
	fn->regs[ATSX_INV_POLICY / 4] = inv;
}
