/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vGPU: one mdev, which QEMU opens as an emulated VFIO PCI device.
 */
#ifndef GPUVIRT_MDEV_VGPU_H
#define GPUVIRT_MDEV_VGPU_H

#include <linux/mdev.h>
#include <linux/mutex.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

struct gpu_type;

#define VGPU_BAR0_SIZE	SZ_64K

/**
 * struct vgpu - one mediated device
 * @vdev: the VFIO core's side of it
 * @type: what it was made of; also who gets the memory back
 * @lock: guards @config and @bar0
 * @config: PCI configuration space as the guest reads it
 * @bar0: content of BAR 0, see vgpu_region.c
 */
struct vgpu {
	struct vfio_device vdev;
	struct gpu_type *type;
	struct mutex lock;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 bar0[VGPU_BAR0_SIZE];
};

extern struct mdev_driver vgpu_driver;

void vgpu_region_reset(struct vgpu *vgpu);
u64 vgpu_region_size(unsigned int index);
ssize_t vgpu_region_read(struct vgpu *vgpu, char __user *buf, size_t count, loff_t *ppos);
ssize_t vgpu_region_write(struct vgpu *vgpu, const char __user *buf, size_t count, loff_t *ppos);

#endif
