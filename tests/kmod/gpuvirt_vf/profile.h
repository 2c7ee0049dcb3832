/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Profiles: the vGPU types that a GPU offers on its VFs. A profile is a constant.
 */
#ifndef GPUVIRT_VF_PROFILE_H
#define GPUVIRT_VF_PROFILE_H

#include <linux/types.h>

/* Memory of one GPU, in slots of 1 GiB. All profiles are cut from this one pool. */
#define POOL_SLOTS	8
#define SLOT_MIB	1024

#define NR_PROFILES	12

struct gi_profile;

/**
 * struct profile - one vGPU type
 * @id: what is written to current_vgpu_type
 * @sysfs_name: the same as text: what follows the driver's name in mdev_supported_types/
 * @name: what people call it
 * @slots: share of the pool, a power of two; its place in the pool is a multiple of it
 * @gi: the GPU instance that it takes instead, or NULL: then it shares the GPU's time with others
 */
struct profile {
	unsigned int id;
	const char *sysfs_name;
	const char *name;
	unsigned int slots;
	const struct gi_profile *gi;
};

extern const struct profile profiles[NR_PROFILES];

const struct profile *profile_find(unsigned int id);
ssize_t profile_describe(const struct profile *profile, char *buf);

#endif
