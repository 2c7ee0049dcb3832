/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emulated VFIO PCI device that both modules give a guest as a mediated vGPU.
 *
 * Source and no module: each module builds it into itself, by a file that includes emulated_vgpu.c
 * and one that includes emulated_region.c. Who makes the device, and what it takes from the GPU, is
 * the module's own.
 */
#ifndef GPUVIRT_EMULATED_VGPU_H
#define GPUVIRT_EMULATED_VGPU_H

#include <linux/mutex.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/vfio.h>

#define EMULATED_BAR0_SIZE	SZ_64K

/**
 * struct emulated_identity - by what a guest knows its vGPU
 * @device_id: PCI device id; the vendor's is QEMU's
 * @profile: number of the profile, which is the PCI subsystem id too
 * @memory_mib: what the profile has of the GPU's memory
 */
struct emulated_identity {
	u16 device_id;
	u16 profile;
	u32 memory_mib;
};

/**
 * struct emulated_vgpu - one device; the first member of the module's own structure
 * @vdev: the VFIO core's side of it
 * @identity: set by the module before the device can be opened
 * @lock: guards @config and @bar0
 * @config: PCI configuration space as the guest reads it
 * @bar0: content of BAR 0, see emulated_region.c
 */
struct emulated_vgpu {
	struct vfio_device vdev;
	struct emulated_identity identity;
	struct mutex lock;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 bar0[EMULATED_BAR0_SIZE];
};

/* Callbacks of struct vfio_device_ops; the module adds what it has to do itself. */
void emulated_vgpu_init(struct emulated_vgpu *vgpu, const struct emulated_identity *identity);
void emulated_vgpu_release(struct vfio_device *vdev);
ssize_t emulated_vgpu_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *ppos);
ssize_t emulated_vgpu_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			    loff_t *ppos);
long emulated_vgpu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg);

/* To be called at the first open: each VM starts with a fresh device. */
void emulated_region_reset(struct emulated_vgpu *vgpu);
u64 emulated_region_size(unsigned int index);

static inline struct emulated_vgpu *to_emulated_vgpu(struct vfio_device *vdev)
{
	return container_of(vdev, struct emulated_vgpu, vdev);
}

#endif
