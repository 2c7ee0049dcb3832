// SPDX-License-Identifier: GPL-2.0
/*
 * The table of profiles. Lab names and lab numbers: nothing here stands for a product.
 */
#include <linux/sysfs.h>

#include "profile.h"

const struct profile profiles[NR_PROFILES] = {
	{
		.sysfs_name = "lab-1q",
		.pretty_name = "LAB-1Q",
		.resolution = "5120x2880",
		.memory_mib = 1024,
		.subsystem_id = 1,
	},
	{
		.sysfs_name = "lab-2q",
		.pretty_name = "LAB-2Q",
		.resolution = "7680x4320",
		.memory_mib = 2048,
		.subsystem_id = 2,
	},
	{
		.sysfs_name = "lab-4q",
		.pretty_name = "LAB-4Q",
		.resolution = "7680x4320",
		.memory_mib = 4096,
		.subsystem_id = 3,
	},
	{
		.sysfs_name = "lab-8q",
		.pretty_name = "LAB-8Q",
		.resolution = "7680x4320",
		.memory_mib = 8192,
		.subsystem_id = 4,
	},
};

/*
 * One line of "key=value" pairs, the form that vGPU host drivers use for a type's description.
 * max_instance is the capacity of an empty GPU, not what is left.
 */
ssize_t profile_describe(const struct profile *profile, unsigned int pool_mib, char *buf)
{
	return sysfs_emit(buf,
			  "num_heads=4, frl_config=60, framebuffer=%uM, max_resolution=%s, max_instance=%u\n",
			  profile->memory_mib, profile->resolution,
			  pool_mib / profile->memory_mib);
}
