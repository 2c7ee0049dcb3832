/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vGPU: what one VF has of its GPU, whichever form the VF has.
 */
#ifndef GPUVIRT_VF_VGPU_H
#define GPUVIRT_VF_VGPU_H

#include <linux/types.h>

#include "gpu.h"
#include "profile.h"

/* Longest text in vgpu_params, with its end. */
#define VGPU_PARAMS_SIZE	256

/**
 * struct vgpu - the state of one VF; all but @gpu is guarded by gpu->lock
 * @gpu: the GPU
 * @profile: the type that is set, or NULL
 * @place: where on the GPU it lives, while there is a type
 * @open: a VM has it
 * @torn_down: what the VM left is still to be torn down, see knob hold_teardown
 * @params: content of vgpu_params; goes with the type
 */
struct vgpu {
	struct gpu *gpu;
	const struct profile *profile;
	struct gpu_place place;
	bool open;
	bool torn_down;
	char params[VGPU_PARAMS_SIZE];
};

bool vgpu_creatable_locked(struct vgpu *vgpu, const struct profile *profile);
int vgpu_create(struct vgpu *vgpu, const struct profile *profile);
int vgpu_destroy(struct vgpu *vgpu);
void vgpu_drop(struct vgpu *vgpu);
int vgpu_open(struct vgpu *vgpu);
void vgpu_close(struct vgpu *vgpu);

#endif
