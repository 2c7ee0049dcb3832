/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emulated GPU: an mdev parent with one pool of memory.
 */
#ifndef GPUVIRT_MDEV_GPU_H
#define GPUVIRT_MDEV_GPU_H

#include <linux/mdev.h>
#include <linux/mutex.h>

#include "profile.h"

struct pci_dev;
struct gpu;

/**
 * struct gpu_type - a profile as one GPU offers it
 * @type: the mdev core's side of it; the core owns the kobject inside
 * @profile: the constant part
 * @gpu: the GPU that offers it
 * @live: how many vGPUs of this type exist, guarded by gpu->lock
 */
struct gpu_type {
	struct mdev_type type;
	const struct profile *profile;
	struct gpu *gpu;
	unsigned int live;
};

/**
 * struct gpu - one mdev parent
 * @parent: the mdev core's side of it
 * @lock: guards @used_mib and the live counts of all @types
 * @used_mib: part of the pool that live vGPUs took
 * @types: one for each profile
 * @type_list: the same, in the form that the mdev core asks for
 */
struct gpu {
	struct mdev_parent parent;
	struct mutex lock;
	unsigned int used_mib;
	struct gpu_type types[NR_PROFILES];
	struct mdev_type *type_list[NR_PROFILES];
};

static inline struct gpu_type *to_gpu_type(struct mdev_type *type)
{
	return container_of(type, struct gpu_type, type);
}

struct gpu *gpu_create(struct pci_dev *pdev);
void gpu_destroy(struct gpu *gpu);

unsigned int gpu_type_available(struct gpu_type *type);
int gpu_type_take(struct gpu_type *type);
void gpu_type_give_back(struct gpu_type *type);

#endif
