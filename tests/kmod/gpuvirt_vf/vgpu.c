// SPDX-License-Identifier: GPL-2.0
/*
 * The vGPU's life: created and destroyed by a write, opened and closed by a VM.
 */
#include <linux/errno.h>
#include <linux/string.h>

#include "gpu.h"
#include "knob.h"
#include "vgpu.h"

bool vgpu_creatable_locked(struct vgpu *vgpu, const struct profile *profile)
{
	return !vgpu->profile && gpu_fits_locked(vgpu->gpu, profile);
}

/*
 * -ENOSPC: the VF has a type already, or the profile does not fit into what is left of the GPU, or
 * no GPU instance is there for it.
 */
int vgpu_create(struct vgpu *vgpu, const struct profile *profile)
{
	struct gpu *gpu = vgpu->gpu;
	int ret = -ENOSPC;

	mutex_lock(&gpu->lock);
	if (vgpu_creatable_locked(vgpu, profile))
		ret = knob_next_create_error() ?: gpu_take_locked(gpu, profile, &vgpu->place);
	if (!ret)
		vgpu->profile = profile;
	mutex_unlock(&gpu->lock);
	return ret;
}

static void vgpu_drop_locked(struct vgpu *vgpu)
{
	gpu_give_back_locked(vgpu->gpu, vgpu->profile, &vgpu->place);
	vgpu->profile = NULL;
	vgpu->torn_down = false;
	memset(vgpu->params, 0, sizeof(vgpu->params));
}

/* Someone asks for it, so it can be refused. Without a type there is nothing to do. */
int vgpu_destroy(struct vgpu *vgpu)
{
	struct gpu *gpu = vgpu->gpu;
	int ret = 0;

	mutex_lock(&gpu->lock);
	if (vgpu->profile) {
		if (vgpu->open || (vgpu->torn_down && knob_hold_teardown()))
			ret = knob_busy_error();
		else
			ret = knob_next_destroy_error();
		if (!ret)
			vgpu_drop_locked(vgpu);
	}
	mutex_unlock(&gpu->lock);
	return ret;
}

/* The VF goes, and with it what it had. Nobody has it open any more. */
void vgpu_drop(struct vgpu *vgpu)
{
	struct gpu *gpu = vgpu->gpu;

	mutex_lock(&gpu->lock);
	if (vgpu->profile)
		vgpu_drop_locked(vgpu);
	mutex_unlock(&gpu->lock);
}

/* A VM starts. -ENODEV: no type is set. -EBUSY: the vendor's tool is at work on the GPU. */
int vgpu_open(struct vgpu *vgpu)
{
	struct gpu *gpu = vgpu->gpu;
	int ret = 0;

	mutex_lock(&gpu->lock);
	if (!vgpu->profile) {
		ret = -ENODEV;
	} else if (gpu->unbind_locked) {
		ret = -EBUSY;
	} else {
		vgpu->open = true;
		vgpu->torn_down = false;
		gpu->vms++;
	}
	mutex_unlock(&gpu->lock);
	return ret;
}

void vgpu_close(struct vgpu *vgpu)
{
	struct gpu *gpu = vgpu->gpu;

	mutex_lock(&gpu->lock);
	vgpu->open = false;
	vgpu->torn_down = true;
	gpu->vms--;
	mutex_unlock(&gpu->lock);
}
