/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vGPU of the mdev form: an emulated VFIO PCI device.
 */
#ifndef GPUVIRT_VF_MDEV_VGPU_H
#define GPUVIRT_VF_MDEV_VGPU_H

#include <linux/mutex.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

struct vgpu;

#define VGPU_BAR0_SIZE	SZ_4K

/**
 * struct mdev_vgpu - one mediated device
 * @vdev: the VFIO core's side of it
 * @vgpu: what it has of the GPU
 * @lock: guards @config
 * @config: PCI configuration space as the guest reads it
 * @bar0: content of BAR 0
 */
struct mdev_vgpu {
	struct vfio_device vdev;
	struct vgpu *vgpu;
	struct mutex lock;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 bar0[VGPU_BAR0_SIZE];
};

void mdev_region_reset(struct mdev_vgpu *device);
u64 mdev_region_size(unsigned int index);
ssize_t mdev_region_read(struct mdev_vgpu *device, char __user *buf, size_t count, loff_t *ppos);
ssize_t mdev_region_write(struct mdev_vgpu *device, const char __user *buf, size_t count,
			  loff_t *ppos);

#endif
