// SPDX-License-Identifier: GPL-2.0
/*
 * The emulated GPU: registration as an mdev parent, and the pool that its types share.
 */
#include <linux/pci.h>
#include <linux/slab.h>

#include "gpu.h"
#include "knob.h"
#include "vgpu.h"

/* The same-size rule: while one type lives on the GPU, every other type has no capacity. */
static bool gpu_type_locked_out(struct gpu_type *type)
{
	struct gpu *gpu = type->gpu;
	unsigned int i;

	lockdep_assert_held(&gpu->lock);

	if (!knob_same_size())
		return false;

	for (i = 0; i < NR_PROFILES; i++) {
		if (&gpu->types[i] != type && gpu->types[i].live)
			return true;
	}
	return false;
}

static unsigned int gpu_type_available_locked(struct gpu_type *type)
{
	struct gpu *gpu = type->gpu;
	unsigned int pool_mib = knob_pool_mib();

	lockdep_assert_held(&gpu->lock);

	/* The pool can have been made smaller than what lives in it. */
	if (gpu_type_locked_out(type) || gpu->used_mib >= pool_mib)
		return 0;
	return (pool_mib - gpu->used_mib) / type->profile->memory_mib;
}

/* How many more vGPUs of this type fit now. Any create or remove on the GPU can change it. */
unsigned int gpu_type_available(struct gpu_type *type)
{
	struct gpu *gpu = type->gpu;
	unsigned int available;

	mutex_lock(&gpu->lock);
	available = gpu_type_available_locked(type);
	mutex_unlock(&gpu->lock);
	return available;
}

/*
 * Take memory for one vGPU, or -ENOSPC.
 *
 * A driver that has get_available does its own counting: the mdev core shows the number but does
 * not look at it before it calls probe. So this test under the lock is what keeps two creators
 * from taking the last piece twice.
 */
int gpu_type_take(struct gpu_type *type)
{
	struct gpu *gpu = type->gpu;
	int ret = 0;

	mutex_lock(&gpu->lock);
	if (gpu_type_available_locked(type)) {
		gpu->used_mib += type->profile->memory_mib;
		type->live++;
	} else {
		ret = -ENOSPC;
	}
	mutex_unlock(&gpu->lock);
	return ret;
}

void gpu_type_give_back(struct gpu_type *type)
{
	struct gpu *gpu = type->gpu;

	mutex_lock(&gpu->lock);
	gpu->used_mib -= type->profile->memory_mib;
	type->live--;
	mutex_unlock(&gpu->lock);
}

/* Make @pdev an mdev parent. The first create can come before this returns. */
struct gpu *gpu_create(struct pci_dev *pdev)
{
	struct gpu *gpu;
	unsigned int i;
	int ret;

	gpu = kzalloc(sizeof(*gpu), GFP_KERNEL);
	if (!gpu)
		return ERR_PTR(-ENOMEM);

	mutex_init(&gpu->lock);
	for (i = 0; i < NR_PROFILES; i++) {
		struct gpu_type *type = &gpu->types[i];

		type->profile = &profiles[i];
		type->gpu = gpu;
		type->type.sysfs_name = profiles[i].sysfs_name;
		type->type.pretty_name = profiles[i].pretty_name;
		gpu->type_list[i] = &type->type;
	}

	ret = mdev_register_parent(&gpu->parent, &pdev->dev, &vgpu_driver, gpu->type_list,
				   NR_PROFILES);
	if (ret) {
		mutex_destroy(&gpu->lock);
		kfree(gpu);
		return ERR_PTR(ret);
	}
	return gpu;
}

/*
 * Remove all vGPUs and stop being an mdev parent. Blocks for as long as anyone has one of the
 * vGPUs open; during that time every create on this GPU fails with -ENODEV.
 */
void gpu_destroy(struct gpu *gpu)
{
	mdev_unregister_parent(&gpu->parent);
	WARN_ON(gpu->used_mib);
	mutex_destroy(&gpu->lock);
	kfree(gpu);
}
