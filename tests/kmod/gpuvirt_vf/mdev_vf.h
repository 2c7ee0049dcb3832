/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mdev form of a VF: a parent with room for one vGPU.
 */
#ifndef GPUVIRT_VF_MDEV_VF_H
#define GPUVIRT_VF_MDEV_VF_H

#include <linux/mdev.h>

#include "vgpu.h"

struct gpu;
struct mdev_vf;
struct pci_dev;

/**
 * struct mdev_vf_type - a profile as one VF offers it
 * @type: the mdev core's side of it
 * @profile: the constant part
 * @vf: the VF
 */
struct mdev_vf_type {
	struct mdev_type type;
	const struct profile *profile;
	struct mdev_vf *vf;
};

/**
 * struct mdev_vf - one VF
 * @parent: the mdev core's side of it
 * @vgpu: what the VF has of its GPU
 * @types: one for each profile
 * @type_list: the same, in the form that the mdev core asks for
 */
struct mdev_vf {
	struct mdev_parent parent;
	struct vgpu vgpu;
	struct mdev_vf_type types[NR_PROFILES];
	struct mdev_type *type_list[NR_PROFILES];
};

static inline struct mdev_vf_type *to_mdev_vf_type(struct mdev_type *type)
{
	return container_of(type, struct mdev_vf_type, type);
}

extern struct mdev_driver mdev_vgpu_driver;

int mdev_vf_probe(struct pci_dev *pdev, struct gpu *gpu);
void mdev_vf_remove(struct pci_dev *pdev);
struct vgpu *mdev_vgpu_vgpu(struct device *dev);

#endif
