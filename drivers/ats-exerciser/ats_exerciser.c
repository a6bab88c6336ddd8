// SPDX-License-Identifier: GPL-2.0
/*
 * Driver of the ats-exerciser, a PCIe endpoint whose Address Translation Cache
 * can be told to misbehave.
 *
 * It is a plain user of the DMA API, so that what a test does to the IOMMU goes
 * the way that any network or storage driver goes. It never checks whether an
 * address given to the DMA engine is mapped: a device that uses addresses which
 * it no longer owns is what the tests are about.
 *
 * Life time. struct atsx_function belongs to the PCI device from probe to
 * remove and to every open file; the last of them frees it. After remove the
 * files keep their buffers, but the buffers are not mapped for the device any
 * more and every ioctl returns -ENODEV.
 *
 * Locks, outermost first:
 *
 *   device_lock of the PF, device_lock of a VF
 *   misc_mtx			held by the misc core around open
 *   atsx_function.bound	read: registers and mappings stay what they are
 *				to the DMA API; write: remove ends that
 *   atsx_function.files_lock	the list of open files
 *   mmap_lock			held by the kernel around mmap
 *   atsx_file.lock		the buffers of one file
 *   atsx_function.engine	one DMA command at a time
 *
 * User memory is touched with none of ours held. Two files can map and unmap at
 * the same time, also while a DMA command runs.
 */

#include <linux/cleanup.h>
#include <linux/dma-mapping.h>
#include <linux/error-injection.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include <linux/ats_exerciser.h>
#include <hw/ats_exerciser_regs.h>

#define ATSX_BUF_MAX_SIZE	SZ_1M
#define ATSX_DMA_TIMEOUT	(5 * HZ)

static_assert(ATS_EXERCISER_COUNTERS == ATSX_CNT_NUM);

/**
 * struct atsx_function - a PF or VF
 * @ref: held by the bound device and by each open file
 * @bound: see "Locks" above
 * @gone: set by remove before it takes @bound, so that a waiting DMA command
 *	ends; whoever finds it clear with @bound held may use @pdev and @regs
 * @pdev: the PCI device
 * @regs: BAR 0
 * @misc: the character device
 * @name: its name
 * @files_lock: protects @files
 * @files: struct atsx_file of every open file
 * @engine: serialises DMA commands
 * @wait: the issuer of the DMA command
 * @done: the interrupt of the DMA command came
 */
struct atsx_function {
	struct kref ref;
	struct rw_semaphore bound;
	bool gone;
	struct pci_dev *pdev;
	void __iomem *regs;
	struct miscdevice misc;
	char name[40];
	struct mutex files_lock; /* protects files */
	struct list_head files;
	struct mutex engine; /* one DMA command at a time */
	wait_queue_head_t wait;
	bool done;
};

/**
 * struct atsx_buf - memory that can be mapped for the function
 * @mem: NULL if the slot is free
 * @size: in bytes, a multiple of PAGE_SIZE
 * @mapped: @iova is valid
 * @iova: what the DMA API gave
 */
struct atsx_buf {
	void *mem;
	u32 size;
	bool mapped;
	dma_addr_t iova;
};

/**
 * struct atsx_file - an open file
 * @fn: the function
 * @node: in &atsx_function.files
 * @lock: protects @bufs
 * @bufs: the index is the id that user space sees
 */
struct atsx_file {
	struct atsx_function *fn;
	struct list_head node;
	struct mutex lock; /* protects bufs */
	struct atsx_buf bufs[ATS_EXERCISER_MAX_BUFS];
};

/*
 * fail_function only takes functions on the error injection list, and vmlinux
 * lists none of ATS or resets. A module may list what it can link to, so the tests
 * can make these fail without a change to the kernel under test.
 */
ALLOW_ERROR_INJECTION(pci_enable_ats, ERRNO);
ALLOW_ERROR_INJECTION(pci_prepare_ats, ERRNO);
ALLOW_ERROR_INJECTION(pci_bridge_secondary_bus_reset, ERRNO);
ALLOW_ERROR_INJECTION(pcie_reset_flr, ERRNO);

static void atsx_function_release(struct kref *ref)
{
	kfree(container_of(ref, struct atsx_function, ref));
}

static void atsx_function_put(void *data)
{
	struct atsx_function *fn = data;

	kref_put(&fn->ref, atsx_function_release);
}

/*
 * A function that was pulled out reads as all ones, one that lost its BARs in a
 * reset as whatever the machine makes of nobody's address.
 */
static bool atsx_answers(struct atsx_function *fn)
{
	return readl(fn->regs + ATSX_ID) == ATSX_ID_MAGIC;
}

static irqreturn_t atsx_interrupt(int irq, void *data)
{
	struct atsx_function *fn = data;
	u32 status = readl(fn->regs + ATSX_IRQ_STATUS);

	/* All ones: see atsx_answers() */
	if (!status || PCI_POSSIBLE_ERROR(status))
		return IRQ_NONE;

	writel(status, fn->regs + ATSX_IRQ_STATUS);
	if (status & ATSX_IRQ_DMA_DONE) {
		WRITE_ONCE(fn->done, true);
		wake_up(&fn->wait);
	}
	return IRQ_HANDLED;
}

/* A BUF ioctl on an id that was never allocated gives -ENOENT */
static struct atsx_buf *atsx_buf_get(struct atsx_file *file, u32 id)
{
	lockdep_assert_held(&file->lock);

	if (id >= ATS_EXERCISER_MAX_BUFS || !file->bufs[id].mem)
		return ERR_PTR(-ENOENT);
	return &file->bufs[id];
}

/*
 * A driver may unmap in its interrupt handler. What comes in meanwhile has to wait,
 * and is no part of the duration.
 */
static bool irqs_off;
module_param(irqs_off, bool, 0644);
MODULE_PARM_DESC(irqs_off, "unmap with interrupts off");

/* Returns the time that it took, in ns */
static u64 atsx_buf_unmap(struct atsx_function *fn, struct atsx_buf *buf)
{
	bool off = READ_ONCE(irqs_off);
	unsigned long flags;
	u64 start, end;

	lockdep_assert_held(&fn->bound);

	if (off)
		local_irq_save(flags);
	start = ktime_get_raw_ns();
	dma_unmap_single(&fn->pdev->dev, buf->iova, buf->size,
			 DMA_BIDIRECTIONAL);
	end = ktime_get_raw_ns();
	if (off)
		local_irq_restore(flags);
	buf->mapped = false;
	return end - start;
}

static void atsx_file_unmap_all(struct atsx_file *file)
{
	guard(mutex)(&file->lock);

	for (int i = 0; i < ATS_EXERCISER_MAX_BUFS; i++) {
		if (file->bufs[i].mapped)
			atsx_buf_unmap(file->fn, &file->bufs[i]);
	}
}

static int atsx_buf_alloc(struct atsx_file *file, struct ats_exerciser_buf *arg)
{
	if (!arg->size || arg->size > ATSX_BUF_MAX_SIZE ||
	    !PAGE_ALIGNED(arg->size))
		return -EINVAL;

	guard(mutex)(&file->lock);

	for (u32 id = 0; id < ATS_EXERCISER_MAX_BUFS; id++) {
		struct atsx_buf *buf = &file->bufs[id];

		if (buf->mem)
			continue;

		/* Single pages, each with its own count: mmap takes one of each */
		buf->mem = alloc_pages_exact(arg->size,
					     GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!buf->mem)
			return -ENOMEM;
		buf->size = arg->size;
		arg->id = id;
		return 0;
	}
	return -ENOSPC;
}

static int atsx_buf_free(struct atsx_file *file,
			 const struct ats_exerciser_buf *arg)
{
	struct atsx_buf *buf;

	guard(mutex)(&file->lock);

	buf = atsx_buf_get(file, arg->id);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	if (buf->mapped)
		return -EBUSY;

	free_pages_exact(buf->mem, buf->size);
	buf->mem = NULL;
	return 0;
}

/*
 * User space and the function share the buffer while it is mapped, without
 * dma_sync_*(): the IOMMUs under test are those of coherent machines.
 */
static int atsx_buf_map(struct atsx_file *file, struct ats_exerciser_buf *arg)
{
	struct device *dev = &file->fn->pdev->dev;
	struct atsx_buf *buf;
	u64 start;

	guard(mutex)(&file->lock);

	buf = atsx_buf_get(file, arg->id);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	if (buf->mapped)
		return -EBUSY;

	start = ktime_get_raw_ns();
	buf->iova = dma_map_single(dev, buf->mem, buf->size, DMA_BIDIRECTIONAL);
	arg->duration_ns = ktime_get_raw_ns() - start;
	if (dma_mapping_error(dev, buf->iova))
		return -ENOMEM;

	buf->mapped = true;
	arg->size = buf->size;
	arg->iova = buf->iova;
	return 0;
}

static int atsx_buf_do_unmap(struct atsx_file *file,
			     struct ats_exerciser_buf *arg)
{
	struct atsx_buf *buf;

	guard(mutex)(&file->lock);

	buf = atsx_buf_get(file, arg->id);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	if (!buf->mapped)
		return -EINVAL;

	arg->duration_ns = atsx_buf_unmap(file->fn, buf);
	arg->size = buf->size;
	arg->iova = buf->iova;
	return 0;
}

static int atsx_dma(struct atsx_function *fn, struct ats_exerciser_dma *arg)
{
	unsigned long end = jiffies + ATSX_DMA_TIMEOUT;
	void __iomem *regs = fn->regs;

	guard(mutex)(&fn->engine);

	if (!atsx_answers(fn))
		return -EIO;
	/* Only after a command that did not end in time */
	if (readl(regs + ATSX_STATUS) & ATSX_STATUS_BUSY)
		return -EBUSY;

	/* Each time, because a reset of the function clears IRQ_ENABLE */
	writel(ATSX_IRQ_DMA_DONE, regs + ATSX_IRQ_STATUS);
	writel(ATSX_IRQ_DMA_DONE, regs + ATSX_IRQ_ENABLE);
	WRITE_ONCE(fn->done, false);

	writeq(arg->addr, regs + ATSX_DMA_ADDR);
	writel(arg->len, regs + ATSX_DMA_LEN);
	writel(arg->flags, regs + ATSX_DMA_FLAGS);
	writel(arg->pasid, regs + ATSX_DMA_PASID);
	writeq(arg->pattern, regs + ATSX_DMA_PATTERN);
	writel(arg->cmd, regs + ATSX_DMA_CMD);

	for (;;) {
		long left = end - jiffies;
		long ret;

		/* Not killable: the buffers must outlive the command */
		ret = wait_event_timeout(fn->wait, READ_ONCE(fn->done) ||
					 READ_ONCE(fn->gone), max(left, 0L));
		if (READ_ONCE(fn->gone))
			return -ENODEV;

		arg->result = readl(regs + ATSX_DMA_RESULT);
		if (!atsx_answers(fn))
			return -EIO;
		if (!ret)
			return -ETIMEDOUT;
		if (arg->result != ATSX_RESULT_BUSY)
			break;

		/* The interrupt of an earlier command that timed out */
		WRITE_ONCE(fn->done, false);
	}

	arg->data = readq(regs + ATSX_DMA_DATA);
	arg->count = readl(regs + ATSX_DMA_COUNT);
	arg->mismatch = readl(regs + ATSX_DMA_MISMATCH);
	return 0;
}

static int atsx_info(struct atsx_function *fn, struct ats_exerciser_info *arg)
{
	arg->caps = readl(fn->regs + ATSX_CAPS);
	arg->status = readl(fn->regs + ATSX_STATUS);
	arg->is_vf = fn->pdev->is_virtfn;
	arg->ats_enabled = fn->pdev->ats_enabled;
	arg->ats_stu = fn->pdev->ats_stu;
	return atsx_answers(fn) ? 0 : -EIO;
}

static int atsx_set_policy(struct atsx_function *fn,
			   const struct ats_exerciser_policy *arg)
{
	/* Parameters first: a policy takes effect when it is written */
	writel(arg->inv_param, fn->regs + ATSX_INV_PARAM);
	writel(arg->inv, fn->regs + ATSX_INV_POLICY);
	writel(arg->inv_disabled, fn->regs + ATSX_INV_POLICY_DISABLED);
	writel(arg->reset_param, fn->regs + ATSX_RESET_PARAM);
	writel(arg->reset, fn->regs + ATSX_RESET_POLICY);

	return atsx_answers(fn) ? 0 : -EIO;
}

static int atsx_get_policy(struct atsx_function *fn,
			   struct ats_exerciser_policy *arg)
{
	arg->inv = readl(fn->regs + ATSX_INV_POLICY);
	arg->inv_param = readl(fn->regs + ATSX_INV_PARAM);
	arg->inv_disabled = readl(fn->regs + ATSX_INV_POLICY_DISABLED);
	arg->reset = readl(fn->regs + ATSX_RESET_POLICY);
	arg->reset_param = readl(fn->regs + ATSX_RESET_PARAM);

	return atsx_answers(fn) ? 0 : -EIO;
}

static int atsx_get_counters(struct atsx_function *fn,
			     struct ats_exerciser_counters *arg)
{
	for (int i = 0; i < ATSX_CNT_NUM; i++)
		arg->count[i] = readq(fn->regs + ATSX_COUNTER(i));

	return atsx_answers(fn) ? 0 : -EIO;
}

/* One argument of an ioctl; the largest decides the size of the stack frame */
union atsx_arg {
	struct ats_exerciser_info info;
	struct ats_exerciser_buf buf;
	struct ats_exerciser_dma dma;
	struct ats_exerciser_policy policy;
	struct ats_exerciser_counters counters;
};

static int atsx_do_ioctl(struct atsx_file *file, unsigned int cmd,
			 union atsx_arg *arg)
{
	struct atsx_function *fn = file->fn;

	guard(rwsem_read)(&fn->bound);

	if (READ_ONCE(fn->gone))
		return -ENODEV;

	switch (cmd) {
	case ATS_EXERCISER_INFO:
		return atsx_info(fn, &arg->info);
	case ATS_EXERCISER_BUF_ALLOC:
		return atsx_buf_alloc(file, &arg->buf);
	case ATS_EXERCISER_BUF_FREE:
		return atsx_buf_free(file, &arg->buf);
	case ATS_EXERCISER_BUF_MAP:
		return atsx_buf_map(file, &arg->buf);
	case ATS_EXERCISER_BUF_UNMAP:
		return atsx_buf_do_unmap(file, &arg->buf);
	case ATS_EXERCISER_DMA:
		return atsx_dma(fn, &arg->dma);
	case ATS_EXERCISER_SET_POLICY:
		return atsx_set_policy(fn, &arg->policy);
	case ATS_EXERCISER_GET_POLICY:
		return atsx_get_policy(fn, &arg->policy);
	case ATS_EXERCISER_GET_COUNTERS:
		return atsx_get_counters(fn, &arg->counters);
	default:
		return -ENOTTY;
	}
}

static long atsx_ioctl(struct file *filp, unsigned int cmd, unsigned long uarg)
{
	void __user *user = (void __user *)uarg;
	size_t size = _IOC_SIZE(cmd);
	union atsx_arg arg = {};
	int ret;

	if (size > sizeof(arg))
		return -ENOTTY;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) && copy_from_user(&arg, user, size))
		return -EFAULT;

	ret = atsx_do_ioctl(filp->private_data, cmd, &arg);
	if (ret)
		return ret;

	if ((_IOC_DIR(cmd) & _IOC_READ) && copy_to_user(user, &arg, size))
		return -EFAULT;
	return 0;
}

static int atsx_mmap(struct file *filp, struct vm_area_struct *vma)
{
	const unsigned long slot_pages = ATSX_BUF_MAX_SIZE >> PAGE_SHIFT;
	unsigned long size = vma->vm_end - vma->vm_start;
	struct atsx_file *file = filp->private_data;
	unsigned long id = vma->vm_pgoff / slot_pages;
	struct atsx_buf *buf;

	/* A private copy would not show what the function writes */
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff % slot_pages)
		return -EINVAL;

	guard(mutex)(&file->lock);

	if (id >= ATS_EXERCISER_MAX_BUFS || !file->bufs[id].mem)
		return -ENXIO;
	buf = &file->bufs[id];
	if (size > buf->size)
		return -EINVAL;

	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (unsigned long off = 0; off < size; off += PAGE_SIZE) {
		int ret = vm_insert_page(vma, vma->vm_start + off,
					 virt_to_page(buf->mem + off));

		if (ret)
			return ret;
	}
	return 0;
}

static int atsx_open(struct inode *inode, struct file *filp)
{
	/* misc_mtx keeps the function alive until the count is taken */
	struct atsx_function *fn = container_of(filp->private_data,
						struct atsx_function, misc);
	struct atsx_file *file = kzalloc_obj(*file);

	if (!file)
		return -ENOMEM;

	kref_get(&fn->ref);
	file->fn = fn;
	mutex_init(&file->lock);
	scoped_guard(mutex, &fn->files_lock)
		list_add(&file->node, &fn->files);

	filp->private_data = file;
	return 0;
}

static int atsx_release(struct inode *inode, struct file *filp)
{
	struct atsx_file *file = filp->private_data;
	struct atsx_function *fn = file->fn;

	/* Either this or remove unmaps, whichever takes the lock first */
	scoped_guard(rwsem_read, &fn->bound) {
		atsx_file_unmap_all(file);
		scoped_guard(mutex, &fn->files_lock)
			list_del(&file->node);
	}

	for (int i = 0; i < ATS_EXERCISER_MAX_BUFS; i++) {
		if (file->bufs[i].mem)
			free_pages_exact(file->bufs[i].mem, file->bufs[i].size);
	}
	mutex_destroy(&file->lock);
	kfree(file);
	atsx_function_put(fn);
	return 0;
}

static const struct file_operations atsx_fops = {
	.owner = THIS_MODULE,
	.open = atsx_open,
	.release = atsx_release,
	.unlocked_ioctl = atsx_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = atsx_mmap,
};

static int atsx_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct atsx_function *fn;
	int ret;

	fn = kzalloc_obj(*fn);
	if (!fn)
		return -ENOMEM;

	kref_init(&fn->ref);
	init_rwsem(&fn->bound);
	mutex_init(&fn->files_lock);
	INIT_LIST_HEAD(&fn->files);
	mutex_init(&fn->engine);
	init_waitqueue_head(&fn->wait);
	fn->pdev = pdev;

	/* First, so that devres drops it last, after the interrupt is freed */
	ret = devm_add_action_or_reset(dev, atsx_function_put, fn);
	if (ret)
		return ret;
	pci_set_drvdata(pdev, fn);

	ret = pcim_enable_device(pdev);
	if (ret)
		return dev_err_probe(dev, ret, "cannot enable the device\n");

	fn->regs = pcim_iomap_region(pdev, ATSX_BAR_REGS, KBUILD_MODNAME);
	if (IS_ERR(fn->regs))
		return dev_err_probe(dev, PTR_ERR(fn->regs), "no BAR %d\n",
				     ATSX_BAR_REGS);

	if (!atsx_answers(fn) ||
	    readl(fn->regs + ATSX_VERSION) != ATSX_VERSION_1)
		return dev_err_probe(dev, -ENODEV, "not an ats-exerciser\n");

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return dev_err_probe(dev, ret, "no 64 bit DMA\n");

	/* The function has no INTx */
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (ret < 0)
		return dev_err_probe(dev, ret, "no MSI-X vector\n");

	ret = devm_request_irq(dev, pci_irq_vector(pdev, 0), atsx_interrupt, 0,
			       KBUILD_MODNAME, fn);
	if (ret)
		return dev_err_probe(dev, ret, "cannot request interrupt\n");

	pci_set_master(pdev);

	/* devtmpfs makes a folder of what stands before the '!' */
	snprintf(fn->name, sizeof(fn->name), "ats_exerciser!%s", pci_name(pdev));
	fn->misc.minor = MISC_DYNAMIC_MINOR;
	fn->misc.name = fn->name;
	fn->misc.fops = &atsx_fops;
	fn->misc.parent = dev;
	/* For atsx_slot_reset() */
	pci_save_state(pdev);
	/* Last: the function can be opened from here on */
	ret = misc_register(&fn->misc);
	if (ret)
		return dev_err_probe(dev, ret, "cannot register %s\n", fn->name);
	return 0;
}

static void atsx_remove(struct pci_dev *pdev)
{
	struct atsx_function *fn = pci_get_drvdata(pdev);
	struct atsx_file *file;
	u32 status;

	pci_disable_sriov(pdev);

	/* No open after this */
	misc_deregister(&fn->misc);

	/* A DMA command that never ends must not hold up the write lock */
	WRITE_ONCE(fn->gone, true);
	wake_up(&fn->wait);

	scoped_guard(rwsem_write, &fn->bound) {
		/*
		 * A command that nobody waits for any more may still run: let
		 * it end before its memory goes. All ones have the bit set
		 * as well.
		 */
		pci_clear_master(pdev);
		readl_poll_timeout(fn->regs + ATSX_STATUS, status,
				   !(status & ATSX_STATUS_BUSY) ||
				   PCI_POSSIBLE_ERROR(status),
				   100, USEC_PER_SEC);

		scoped_guard(mutex, &fn->files_lock) {
			list_for_each_entry(file, &fn->files, node)
				atsx_file_unmap_all(file);
		}
	}
}

/*
 * What the driver makes of an error: 0 leaves the device to whoever resets it, 1 wants
 * a reset and goes on after it, 2 gives the device up.
 */
static unsigned int recover;
module_param(recover, uint, 0644);

static pci_ers_result_t atsx_error_detected(struct pci_dev *pdev,
					    pci_channel_state_t state)
{
	pci_info(pdev, "error_detected: %s\n",
		 state == pci_channel_io_normal ? "normal" :
		 state == pci_channel_io_frozen ? "frozen" : "perm_failure");
	if (state == pci_channel_io_perm_failure || recover == 2)
		return PCI_ERS_RESULT_DISCONNECT;
	if (!recover)
		return PCI_ERS_RESULT_CAN_RECOVER;
	/* No DMA until the reset, as with many drivers */
	pci_clear_master(pdev);
	return PCI_ERS_RESULT_NEED_RESET;
}

static pci_ers_result_t atsx_slot_reset(struct pci_dev *pdev)
{
	struct atsx_function *fn = pci_get_drvdata(pdev);

	pci_info(pdev, "slot_reset\n");
	/*
	 * Recovery from AER leaves that to the driver. In this order, as many drivers have
	 * it: it works if what is restored was saved while the device was in use.
	 */
	pci_set_master(pdev);
	pci_restore_state(pdev);
	return atsx_answers(fn) ? PCI_ERS_RESULT_RECOVERED : PCI_ERS_RESULT_DISCONNECT;
}

static void atsx_resume(struct pci_dev *pdev)
{
	pci_info(pdev, "resume\n");
}

static const struct pci_error_handlers atsx_err_handlers = {
	.error_detected = atsx_error_detected,
	.slot_reset = atsx_slot_reset,
	.resume = atsx_resume,
};

static const struct pci_device_id atsx_ids[] = {
	{ PCI_DEVICE(ATSX_VENDOR_ID, ATSX_DEVICE_ID) },
	{ PCI_DEVICE(ATSX_VENDOR_ID, ATSX_VF_DEVICE_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, atsx_ids);

static struct pci_driver atsx_driver = {
	.name = KBUILD_MODNAME,
	.id_table = atsx_ids,
	.probe = atsx_probe,
	.remove = atsx_remove,
	.sriov_configure = pci_sriov_configure_simple,
	.err_handler = &atsx_err_handlers,
};
module_pci_driver(atsx_driver);

MODULE_DESCRIPTION("Driver of an emulated PCIe endpoint that exercises ATS");
MODULE_LICENSE("GPL");
