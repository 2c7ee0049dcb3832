/* SPDX-License-Identifier: GPL-2.0 */
/*
 * GPU instances: parts of a GPU with memory and processors of their own, made while its MIG mode is
 * on. Each serves one vGPU.
 */
#ifndef GPUVIRT_VF_MIG_H
#define GPUVIRT_VF_MIG_H

#include <linux/types.h>

struct gpu;

#define NR_GI_PROFILES	7

/*
 * Instances are numbered as the nodes of a binary tree over the eight slots of memory: the whole is
 * 0, its halves 1 and 2, the quarters 3 to 6, single slots 7 to 14.
 */
#define NR_GI_PLACES	15

/**
 * struct gi_profile - a kind of GPU instance
 * @id: its number
 * @name: what people call it
 * @slices: share of the processors, in sevenths
 * @size: share of the memory in slots
 * @starts: the first slots that it can have, a bitmap
 * @limit: how many there can be at once
 * @media: engines for video, all of them in one instance, with the profile that is named "+me"
 */
struct gi_profile {
	unsigned int id;
	const char *name;
	unsigned int slices;
	unsigned int size;
	u8 starts;
	unsigned int limit;
	unsigned int media;
};

extern const struct gi_profile gi_profiles[NR_GI_PROFILES];

/**
 * struct gpu_instance - a place for one GPU instance
 * @profile: what is there, or NULL
 * @start: its first slot of memory
 * @compute: it has a compute instance, and can't be destroyed before that is
 * @vgpu: a vGPU lives on it
 */
struct gpu_instance {
	const struct gi_profile *profile;
	unsigned int start;
	bool compute;
	bool vgpu;
};

const struct gi_profile *gi_profile_find(unsigned int id);
unsigned int mig_room_locked(struct gpu *gpu, const struct gi_profile *profile);
struct gpu_instance *mig_find_free_locked(struct gpu *gpu, const struct gi_profile *profile);
int mig_set_mode_locked(struct gpu *gpu, bool on);
int mig_create_locked(struct gpu *gpu, const struct gi_profile *profile);
int mig_destroy_locked(struct gpu *gpu, unsigned int id);
int mig_set_compute_locked(struct gpu *gpu, unsigned int id, bool on);
void mig_wipe_locked(struct gpu *gpu);

#endif
