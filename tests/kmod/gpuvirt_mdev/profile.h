/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Profiles: the vGPU types that one emulated GPU offers.
 *
 * A profile is a constant; what is alive of it on one GPU is counted in gpu.h.
 */
#ifndef GPUVIRT_MDEV_PROFILE_H
#define GPUVIRT_MDEV_PROFILE_H

#include <linux/types.h>

#define NR_PROFILES	4

/**
 * struct profile - one vGPU type
 * @sysfs_name: what follows the driver's name in mdev_supported_types/
 * @pretty_name: content of the type's "name" file
 * @resolution: largest display, only for the description
 * @memory_mib: share of the pool that one vGPU takes
 * @subsystem_id: PCI subsystem id of the vGPU, by which a guest knows its profile
 */
struct profile {
	const char *sysfs_name;
	const char *pretty_name;
	const char *resolution;
	unsigned int memory_mib;
	u16 subsystem_id;
};

extern const struct profile profiles[NR_PROFILES];

ssize_t profile_describe(const struct profile *profile, unsigned int pool_mib, char *buf);

#endif
