// SPDX-License-Identifier: GPL-2.0
/*
 * The GPU: what fits into its memory, and the making of its VFs.
 */
#include <linux/bitmap.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "gpu.h"
#include "knob.h"
#include "unbind_lock.h"

/* The same-size rule goes by the size: profiles of one size and of several classes live together. */
static bool locked_out_locked(struct gpu *gpu, const struct profile *profile)
{
	unsigned int i;

	if (!knob_same_size() || gpu->mixed_size)
		return false;

	for (i = 0; i < NR_PROFILES; i++) {
		if (gpu->live[i] && profiles[i].slots != profile->slots)
			return true;
	}
	return false;
}

/* The first free place for this profile, or one behind the end of the pool. */
static unsigned long find_placement_locked(struct gpu *gpu, const struct profile *profile)
{
	return bitmap_find_next_zero_area(&gpu->pool, POOL_SLOTS, 0, profile->slots,
					  profile->slots - 1);
}

bool gpu_fits_locked(struct gpu *gpu, const struct profile *profile)
{
	lockdep_assert_held(&gpu->lock);

	if (gpu->mig || profile->gi)
		return gpu->mig && profile->gi && mig_find_free_locked(gpu, profile->gi);
	return !locked_out_locked(gpu, profile) &&
	       find_placement_locked(gpu, profile) < POOL_SLOTS;
}

/* Take memory or a GPU instance for one vGPU, or -ENOSPC. */
int gpu_take_locked(struct gpu *gpu, const struct profile *profile, struct gpu_place *place)
{
	if (!gpu_fits_locked(gpu, profile))
		return -ENOSPC;

	memset(place, 0, sizeof(*place));
	if (profile->gi) {
		place->instance = mig_find_free_locked(gpu, profile->gi);
		place->instance->vgpu = true;
	} else {
		place->placement = find_placement_locked(gpu, profile);
		bitmap_set(&gpu->pool, place->placement, profile->slots);
	}
	gpu->live[profile - profiles]++;
	return 0;
}

void gpu_give_back_locked(struct gpu *gpu, const struct profile *profile,
			  const struct gpu_place *place)
{
	lockdep_assert_held(&gpu->lock);

	if (place->instance)
		place->instance->vgpu = false;
	else
		bitmap_clear(&gpu->pool, place->placement, profile->slots);
	gpu->live[profile - profiles]--;
}

/* What does not outlive the VFs. While there are VFs, vGPUs can be on the instances: not then. */
static void forget_locked(struct gpu *gpu, bool vfs)
{
	gpu->mixed_size = false;
	gpu->vfs = vfs;
	mig_wipe_locked(gpu);
}

static void forget(struct gpu *gpu)
{
	mutex_lock(&gpu->lock);
	forget_locked(gpu, false);
	mutex_unlock(&gpu->lock);
}

/*
 * A write to sriov_numvfs. The PCI core has judged the number and holds the function's lock.
 *
 * Some vendors' drivers take it only from their own tool: here that is whoever has the unbindLock.
 * With VMs on the VFs it is refused; the removal of a VF that is in use would otherwise block here,
 * and every other write to the function behind it.
 */
int gpu_set_numvfs(struct gpu *gpu, int num_vfs)
{
	int ret = 0;

	mutex_lock(&gpu->lock);
	if (!gpu->unbind_locked)
		ret = knob_numvfs_error();
	if (!ret && gpu->vms)
		ret = -EBUSY;
	if (!ret && num_vfs)
		forget_locked(gpu, true);
	mutex_unlock(&gpu->lock);
	if (ret)
		return ret;

	/* Not under our lock: VFs come and go in here, and take it. */
	if (!num_vfs) {
		pci_disable_sriov(gpu->pdev);
		forget(gpu);
		return 0;
	}
	ret = pci_enable_sriov(gpu->pdev, num_vfs);
	if (ret)
		forget(gpu);
	return ret ?: num_vfs;
}

static void gpu_release(struct kref *kref)
{
	struct gpu *gpu = container_of(kref, struct gpu, kref);

	mutex_destroy(&gpu->lock);
	kfree(gpu->client.name);
	kfree(gpu);
}

void gpu_put(struct gpu *gpu)
{
	kref_put(&gpu->kref, gpu_release);
}

struct gpu *gpu_create(struct pci_dev *pdev)
{
	struct gpu *gpu;
	int ret;

	gpu = kzalloc(sizeof(*gpu), GFP_KERNEL);
	if (!gpu)
		return ERR_PTR(-ENOMEM);

	kref_init(&gpu->kref);
	mutex_init(&gpu->lock);
	init_waitqueue_head(&gpu->no_client);
	gpu->pdev = pdev;

	/* VFs decode memory only while their physical function does. */
	ret = pci_enable_device_mem(pdev);
	if (ret)
		goto err_put;

	ret = unbind_lock_register(gpu);
	if (ret)
		goto err_disable;
	return gpu;

err_disable:
	pci_disable_device(pdev);
err_put:
	gpu_put(gpu);
	return ERR_PTR(ret);
}

/*
 * Remove the VFs, then let go. Blocks while a VM has a vGPU open and while a client has the GPU
 * open: a driver can't refuse to be unbound.
 */
void gpu_destroy(struct gpu *gpu)
{
	struct pci_dev *pdev = gpu->pdev;

	pci_disable_sriov(pdev);
	unbind_lock_unregister(gpu);
	WARN_ON(gpu->pool);
	pci_disable_device(pdev);
	gpu_put(gpu);
}
