/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The GPU: the SR-IOV physical function, with the memory that the vGPUs of its VFs share.
 */
#ifndef GPUVIRT_VF_GPU_H
#define GPUVIRT_VF_GPU_H

#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/wait.h>

#include "mig.h"
#include "profile.h"

struct pci_dev;
struct proc_dir_entry;

/**
 * struct gpu - one physical function
 * @kref: held by the binding and by each client that is open
 * @pdev: the function; not to be used by a client, which can outlive the binding
 * @lock: guards all that follows
 * @pool: the slots that are taken, a bitmap
 * @live: how many vGPUs of each profile there are
 * @mixed_size: lifts the same-size rule; gone when the VFs are made anew
 * @mig: MIG mode is on: vGPUs live on @instances, not in the @pool
 * @instances: the GPU instances by number; gone when the VFs are made anew
 * @vfs: there are VFs, or they are being made
 * @vms: vGPUs that a VM has open
 * @clients: open files of @client
 * @unbind_locked: someone has the unbindLock: no new client, no new VM
 * @client: the device that the driver's other users open
 * @no_client: woken when @clients falls to 0
 * @proc: folder below /proc/driver
 */
struct gpu {
	struct kref kref;
	struct pci_dev *pdev;
	struct mutex lock;
	unsigned long pool;
	unsigned int live[NR_PROFILES];
	bool mixed_size;
	bool mig;
	struct gpu_instance instances[NR_GI_PLACES];
	bool vfs;
	unsigned int vms;
	unsigned int clients;
	bool unbind_locked;
	struct miscdevice client;
	wait_queue_head_t no_client;
	struct proc_dir_entry *proc;
};

/**
 * struct gpu_place - where on its GPU a vGPU lives
 * @placement: its first slot, of the pool or of its instance
 * @instance: its GPU instance, or NULL
 */
struct gpu_place {
	unsigned int placement;
	struct gpu_instance *instance;
};

struct gpu *gpu_create(struct pci_dev *pdev);
void gpu_destroy(struct gpu *gpu);
void gpu_put(struct gpu *gpu);
int gpu_set_numvfs(struct gpu *gpu, int num_vfs);

bool gpu_fits_locked(struct gpu *gpu, const struct profile *profile);
int gpu_take_locked(struct gpu *gpu, const struct profile *profile, struct gpu_place *place);
void gpu_give_back_locked(struct gpu *gpu, const struct profile *profile,
			  const struct gpu_place *place);

#endif
