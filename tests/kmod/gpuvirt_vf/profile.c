// SPDX-License-Identifier: GPL-2.0
/*
 * The table of profiles. Lab names and lab numbers: nothing here stands for a product.
 *
 * Two of them have one size and differ in class, because the same-size rule goes by the size. Ids
 * of three and of four digits, because a listing pads them.
 */
#include <linux/array_size.h>
#include <linux/sysfs.h>

#include "profile.h"

const struct profile profiles[NR_PROFILES] = {
	{ .id = 601, .sysfs_name = "601", .name = "LAB-1Q", .slots = 1 },
	{ .id = 602, .sysfs_name = "602", .name = "LAB-2Q", .slots = 2 },
	{ .id = 604, .sysfs_name = "604", .name = "LAB-4Q", .slots = 4 },
	{ .id = 608, .sysfs_name = "608", .name = "LAB-8Q", .slots = 8 },
	{ .id = 1602, .sysfs_name = "1602", .name = "LAB-2C", .slots = 2 },
};

const struct profile *profile_find(unsigned int id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(profiles); i++) {
		if (profiles[i].id == id)
			return &profiles[i];
	}
	return NULL;
}

/* The mdev form's description. max_instance is what fits on an empty GPU, however many VFs there are. */
ssize_t profile_describe(const struct profile *profile, char *buf)
{
	return sysfs_emit(buf,
			  "num_heads=4, frl_config=60, framebuffer=%uM, max_resolution=7680x4320, max_instance=%u\n",
			  profile->slots * SLOT_MIB, POOL_SLOTS / profile->slots);
}
