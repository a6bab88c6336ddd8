/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A function of the ats-exerciser as a user of VFIO has it: the character device
 * and iommufd in place of a driver and the DMA API. Memory and commands are those
 * of lib.h, struct atsx_mem and atsx_regs_dma().
 *
 * Functions return 0 or a count, or a negative errno.
 */
#ifndef IOMMU_ATS_VFIO_H
#define IOMMU_ATS_VFIO_H

#include "lib.h"

/* An address space, for any number of functions */
struct vfio_space {
	int iommufd;
	uint32_t ioas;
};

int vfio_space_open(struct vfio_space *space);
void vfio_space_close(struct vfio_space *space);

/* Pages of this process, which keeps them whether they are mapped or not */
int vfio_mem_alloc(struct atsx_mem *mem, size_t size);
/* At mem->buf.iova */
int vfio_mem_map(struct vfio_space *space, struct atsx_mem *mem);
int vfio_mem_unmap(struct vfio_space *space, struct atsx_mem *mem);
/* Everything that is mapped, with one call; @duration_ns may be NULL */
int vfio_unmap_all(struct vfio_space *space, uint64_t *duration_ns);

/*
 * Takes function @index from its driver, resets it and enables it: its policies
 * are the usual ones. @fn is what it is in lib.h, but @fn->fd is that of VFIO.
 * It has no address space until vfio_attach().
 */
int vfio_open(struct atsx_fn *fn, unsigned int index, struct vfio_space *space);
/* Leaves it to the driver of VFIO, for another vfio_open() */
void vfio_release(struct atsx_fn *fn);
/* Gives it back to its driver; also after a vfio_open() that failed */
void vfio_close(struct atsx_fn *fn);

int vfio_attach(struct atsx_fn *fn, struct vfio_space *space);
int vfio_detach(struct atsx_fn *fn);
/* A reset clears what vfio_enable() sets, Memory Space and Bus Master Enable */
int vfio_reset(struct atsx_fn *fn);
int vfio_enable(struct atsx_fn *fn);
/*
 * Its user does not need it: it may be suspended until he does. The eventfd @wakeup tells
 * that somebody else has woken it up.
 */
int vfio_low_power_enter(struct atsx_fn *fn, int wakeup);
int vfio_low_power_exit(struct atsx_fn *fn);
/* An eventfd that tells of errors of the function */
int vfio_errors(struct atsx_fn *fn);
void vfio_inv_policy(struct atsx_fn *fn, uint32_t inv, uint32_t inv_param);

#endif /* IOMMU_ATS_VFIO_H */
