/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vGPU: one mdev, which QEMU opens as an emulated VFIO PCI device.
 */
#ifndef GPUVIRT_MDEV_VGPU_H
#define GPUVIRT_MDEV_VGPU_H

#include <linux/mdev.h>

#include "../emulated_vgpu/emulated_vgpu.h"

struct gpu_type;

/**
 * struct vgpu - one mediated device
 * @emulated: what the guest gets
 * @type: what it was made of; also who gets the memory back
 */
struct vgpu {
	struct emulated_vgpu emulated;
	struct gpu_type *type;
};

extern struct mdev_driver vgpu_driver;

#endif
