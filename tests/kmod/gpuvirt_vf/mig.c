// SPDX-License-Identifier: GPL-2.0
/*
 * GPU instances: which there can be, and their making and unmaking.
 *
 * Profiles and places are those of a card with seven slices and eight slots of memory, as NVIDIA's
 * guide draws them. Where an instance goes is our choice: to its first free place.
 */
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/lockdep.h>
#include <linux/pci.h>
#include <linux/string.h>

#include "gpu.h"
#include "mig.h"

const struct gi_profile gi_profiles[NR_GI_PROFILES] = {
	{ .id = 19, .name = "1g.1gb", .slices = 1, .size = 1, .starts = 0x7f, .limit = 7 },
	{ .id = 20, .name = "1g.1gb+me", .slices = 1, .size = 1, .starts = 0x7f, .limit = 1,
	  .media = 1 },
	{ .id = 15, .name = "1g.2gb", .slices = 1, .size = 2, .starts = 0x55, .limit = 4 },
	{ .id = 14, .name = "2g.2gb", .slices = 2, .size = 2, .starts = 0x15, .limit = 3 },
	{ .id = 9, .name = "3g.4gb", .slices = 3, .size = 4, .starts = 0x11, .limit = 2 },
	{ .id = 5, .name = "4g.4gb", .slices = 4, .size = 4, .starts = 0x01, .limit = 1 },
	{ .id = 0, .name = "7g.8gb", .slices = 7, .size = 8, .starts = 0x01, .limit = 1 },
};

const struct gi_profile *gi_profile_find(unsigned int id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gi_profiles); i++) {
		if (gi_profiles[i].id == id)
			return &gi_profiles[i];
	}
	return NULL;
}

static unsigned long used_slots_locked(struct gpu *gpu)
{
	unsigned long used = 0;
	unsigned int i;

	for (i = 0; i < NR_GI_PLACES; i++) {
		const struct gpu_instance *instance = &gpu->instances[i];

		if (instance->profile)
			used |= (BIT(instance->profile->size) - 1) << instance->start;
	}
	return used;
}

static unsigned int count_locked(struct gpu *gpu, const struct gi_profile *profile)
{
	unsigned int i, count = 0;

	for (i = 0; i < NR_GI_PLACES; i++)
		count += gpu->instances[i].profile == profile;
	return count;
}

/* Whether an instance can be at @start now. */
static bool place_free(const struct gi_profile *profile, unsigned long used, unsigned int start)
{
	return profile->starts & BIT(start) && !(used & ((BIT(profile->size) - 1) << start));
}

/* How many more of these there can be now. Any other profile's instance can change it. */
unsigned int mig_room_locked(struct gpu *gpu, const struct gi_profile *profile)
{
	unsigned long used = used_slots_locked(gpu);
	unsigned int start, room = 0;

	lockdep_assert_held(&gpu->lock);

	for (start = 0; start < POOL_SLOTS; start++)
		room += place_free(profile, used, start);
	return min(room, profile->limit - count_locked(gpu, profile));
}

/* An instance of this profile that has no vGPU yet, or NULL. */
struct gpu_instance *mig_find_free_locked(struct gpu *gpu, const struct gi_profile *profile)
{
	unsigned int i;

	lockdep_assert_held(&gpu->lock);

	for (i = 0; i < NR_GI_PLACES; i++) {
		struct gpu_instance *instance = &gpu->instances[i];

		if (instance->profile == profile && !instance->vgpu)
			return instance;
	}
	return NULL;
}

/*
 * -EBUSY: there are VFs, or instances, or another program than the caller's has the GPU open.
 * The mode that is there already is not judged.
 */
int mig_set_mode_locked(struct gpu *gpu, bool on)
{
	lockdep_assert_held(&gpu->lock);

	if (gpu->mig == on)
		return 0;
	if (gpu->vfs || gpu->clients > 1 || used_slots_locked(gpu))
		return -EBUSY;
	gpu->mig = on;
	gpu->mixed_size = false;
	return 0;
}

/* The new instance's number. -EOPNOTSUPP: MIG mode is off. -ENOSPC: no place is free. */
int mig_create_locked(struct gpu *gpu, const struct gi_profile *profile)
{
	unsigned long used = used_slots_locked(gpu);
	struct gpu_instance *instance;
	unsigned int start, id;

	lockdep_assert_held(&gpu->lock);

	if (!gpu->mig)
		return -EOPNOTSUPP;
	if (!mig_room_locked(gpu, profile))
		return -ENOSPC;
	for (start = 0; !place_free(profile, used, start); start++)
		;
	id = POOL_SLOTS / profile->size - 1 + start / profile->size;
	instance = &gpu->instances[id];
	instance->profile = profile;
	instance->start = start;
	return id;
}

static struct gpu_instance *find_locked(struct gpu *gpu, unsigned int id)
{
	lockdep_assert_held(&gpu->lock);

	if (id >= NR_GI_PLACES || !gpu->instances[id].profile)
		return NULL;
	return &gpu->instances[id];
}

/* -EBUSY: a compute instance or a vGPU is on it. */
int mig_destroy_locked(struct gpu *gpu, unsigned int id)
{
	struct gpu_instance *instance = find_locked(gpu, id);

	if (!instance)
		return -ENOENT;
	if (instance->compute || instance->vgpu)
		return -EBUSY;
	instance->profile = NULL;
	return 0;
}

/* At most one compute instance, as large as the GPU instance. Destroying it under a vGPU is -EBUSY. */
int mig_set_compute_locked(struct gpu *gpu, unsigned int id, bool on)
{
	struct gpu_instance *instance = find_locked(gpu, id);

	if (!instance)
		return -ENOENT;
	if (on && instance->compute)
		return -ENOSPC;
	if (!on && !instance->compute)
		return -ENOENT;
	if (!on && instance->vgpu)
		return -EBUSY;
	instance->compute = on;
	return 0;
}

/* All instances go. Only while there is no VF, so no vGPU either. */
void mig_wipe_locked(struct gpu *gpu)
{
	lockdep_assert_held(&gpu->lock);

	memset(gpu->instances, 0, sizeof(gpu->instances));
}
