/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ioctl ABI of the ats-exerciser driver. One character device a function:
 * /dev/ats_exerciser/<domain>:<bus>:<device>.<function>
 *
 * Commands, flags, results, policies and counters are the device's own numbers
 * (ATSX_* in hw/ats_exerciser_regs.h).
 *
 * After the driver has been unbound from the function every ioctl of a file that
 * is still open gives -ENODEV; its buffers are no longer mapped for the function,
 * and their memory stays until the file is closed. -EIO says that the function
 * is bound but does not answer.
 */
#ifndef _UAPI_LINUX_ATS_EXERCISER_H
#define _UAPI_LINUX_ATS_EXERCISER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ATS_EXERCISER_MAX_BUFS	64
#define ATS_EXERCISER_COUNTERS	14

/**
 * struct ats_exerciser_info - ATS_EXERCISER_INFO
 * @caps: the CAPS register
 * @status: the STATUS register, read now
 * @is_vf: 1 for a VF
 * @ats_enabled: the kernel's pdev->ats_enabled, read now
 * @ats_stu: the kernel's pdev->ats_stu of the function itself
 * @reserved: zero
 */
struct ats_exerciser_info {
	__u32 caps;
	__u32 status;
	__u8 is_vf;
	__u8 ats_enabled;
	__u8 ats_stu;
	__u8 reserved[5];
};

/**
 * struct ats_exerciser_buf - ATS_EXERCISER_BUF_ALLOC, _FREE, _MAP, _UNMAP
 * @id: ALLOC: out; else in. mmap() offset of the memory is id * 1 MiB
 * @size: ALLOC: in, bytes, a multiple of the page size, at most 1 MiB
 * @iova: MAP: out, the DMA address
 * @duration_ns: MAP, UNMAP: out, time spent in the DMA API, CLOCK_MONOTONIC_RAW
 *
 * The memory of a buffer lives from ALLOC to FREE (or to the close of the file)
 * whether it is mapped for the device or not: memory that has been unmapped
 * stands for memory that somebody else owns now.
 *
 * -ENOSPC if all buffers are in use, -ENOENT if @id is none, -EBUSY for FREE and
 * MAP of a mapped buffer, -EINVAL for UNMAP of one that is not.
 */
struct ats_exerciser_buf {
	__u32 id;
	__u32 size;
	__aligned_u64 iova;
	__aligned_u64 duration_ns;
};

/**
 * struct ats_exerciser_dma - ATS_EXERCISER_DMA
 * @cmd: in, ATSX_CMD_*
 * @flags: in, ATSX_DMA_*
 * @addr: in, DMA address; need not belong to a mapped buffer
 * @len: in, bytes
 * @pasid: in
 * @pattern: in
 * @data: out
 * @result: out, ATSX_RESULT_*
 * @count: out, bytes done
 * @mismatch: out
 * @reserved: zero
 *
 * Waits for the command's interrupt. -ETIMEDOUT if it does not come within 5 s,
 * -EBUSY if an earlier command that timed out still runs.
 */
struct ats_exerciser_dma {
	__u32 cmd;
	__u32 flags;
	__aligned_u64 addr;
	__u32 len;
	__u32 pasid;
	__aligned_u64 pattern;
	__aligned_u64 data;
	__u32 result;
	__u32 count;
	__u32 mismatch;
	__u32 reserved;
};

/**
 * struct ats_exerciser_policy - ATS_EXERCISER_SET_POLICY, _GET_POLICY
 * @inv: ATSX_INV_*
 * @inv_param: requests or ms
 * @inv_disabled: ATSX_INV_DISABLED_*
 * @reset: ATSX_RESET_*
 * @reset_param: ms
 * @reserved: zero
 */
struct ats_exerciser_policy {
	__u32 inv;
	__u32 inv_param;
	__u32 inv_disabled;
	__u32 reset;
	__u32 reset_param;
	__u32 reserved;
};

/**
 * struct ats_exerciser_counters - ATS_EXERCISER_GET_COUNTERS
 * @count: indexed by ATSX_CNT_*
 */
struct ats_exerciser_counters {
	__aligned_u64 count[ATS_EXERCISER_COUNTERS];
};

#define ATS_EXERCISER_MAGIC		0xa5
#define ATS_EXERCISER_INFO		_IOR(ATS_EXERCISER_MAGIC, 0x00, struct ats_exerciser_info)
#define ATS_EXERCISER_BUF_ALLOC		_IOWR(ATS_EXERCISER_MAGIC, 0x01, struct ats_exerciser_buf)
#define ATS_EXERCISER_BUF_FREE		_IOW(ATS_EXERCISER_MAGIC, 0x02, struct ats_exerciser_buf)
#define ATS_EXERCISER_BUF_MAP		_IOWR(ATS_EXERCISER_MAGIC, 0x03, struct ats_exerciser_buf)
#define ATS_EXERCISER_BUF_UNMAP		_IOWR(ATS_EXERCISER_MAGIC, 0x04, struct ats_exerciser_buf)
#define ATS_EXERCISER_DMA		_IOWR(ATS_EXERCISER_MAGIC, 0x05, struct ats_exerciser_dma)
#define ATS_EXERCISER_SET_POLICY	_IOW(ATS_EXERCISER_MAGIC, 0x06, struct ats_exerciser_policy)
#define ATS_EXERCISER_GET_POLICY	_IOR(ATS_EXERCISER_MAGIC, 0x07, struct ats_exerciser_policy)
#define ATS_EXERCISER_GET_COUNTERS	_IOR(ATS_EXERCISER_MAGIC, 0x08, \
					     struct ats_exerciser_counters)

#endif /* _UAPI_LINUX_ATS_EXERCISER_H */
