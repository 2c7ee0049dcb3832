// SPDX-License-Identifier: GPL-2.0
/*
 * The table of profiles. Lab names and lab numbers: nothing here stands for a product.
 *
 * Two of them have one size and differ in class, because the same-size rule goes by the size. Ids
 * of three and of four digits, because a listing pads them. Those of GPU instances have 700 and the
 * number of the instance's profile.
 */
#include <linux/array_size.h>
#include <linux/sysfs.h>

#include "mig.h"
#include "profile.h"

const struct profile profiles[NR_PROFILES] = {
	{ .id = 601, .sysfs_name = "601", .name = "LAB-1Q", .slots = 1 },
	{ .id = 602, .sysfs_name = "602", .name = "LAB-2Q", .slots = 2 },
	{ .id = 604, .sysfs_name = "604", .name = "LAB-4Q", .slots = 4 },
	{ .id = 608, .sysfs_name = "608", .name = "LAB-8Q", .slots = 8 },
	{ .id = 1602, .sysfs_name = "1602", .name = "LAB-2C", .slots = 2 },
	{ .id = 719, .sysfs_name = "719", .name = "LAB-1-1Q", .slots = 1, .gi = &gi_profiles[0] },
	{ .id = 720, .sysfs_name = "720", .name = "LAB-1-1QME", .slots = 1, .gi = &gi_profiles[1] },
	{ .id = 715, .sysfs_name = "715", .name = "LAB-1-2Q", .slots = 2, .gi = &gi_profiles[2] },
	{ .id = 714, .sysfs_name = "714", .name = "LAB-2-2Q", .slots = 2, .gi = &gi_profiles[3] },
	{ .id = 709, .sysfs_name = "709", .name = "LAB-3-4Q", .slots = 4, .gi = &gi_profiles[4] },
	{ .id = 705, .sysfs_name = "705", .name = "LAB-4-4Q", .slots = 4, .gi = &gi_profiles[5] },
	{ .id = 700, .sysfs_name = "700", .name = "LAB-7-8Q", .slots = 8, .gi = &gi_profiles[6] },
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
	unsigned int limit = profile->gi ? profile->gi->limit : POOL_SLOTS / profile->slots;

	return sysfs_emit(buf,
			  "num_heads=4, frl_config=60, framebuffer=%uM, max_resolution=7680x4320, max_instance=%u\n",
			  profile->slots * SLOT_MIB, limit);
}
