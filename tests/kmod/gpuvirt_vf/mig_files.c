// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/driver/gpuvirt_vf/gpus/ADDRESS/ has, for a stand-in of the vendor's command:
 *	mig_mode		0 or 1; a write changes it
 *	gpu_instance_profiles	a line for each: number, name, slices, memory in MiB, how many more
 *				there can be now, how many at most, media engines, first slots:size
 *	gpu_instances		a line for each: number, its profile's number and name, start:size,
 *				whether it has a compute instance, whether a vGPU is on it;
 *				takes "create PROFILE", "destroy ID", "create-compute ID",
 *				"destroy-compute ID"
 */
#include <linux/kernel.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "gpu.h"
#include "mig.h"
#include "mig_files.h"

/* Longest command, with its end. */
#define COMMAND_SIZE	32

static int mig_mode_show(struct seq_file *seq, void *unused)
{
	struct gpu *gpu = seq->private;

	seq_printf(seq, "%d\n", READ_ONCE(gpu->mig));
	return 0;
}

static int mig_mode_open(struct inode *inode, struct file *file)
{
	return single_open(file, mig_mode_show, pde_data(inode));
}

static ssize_t mig_mode_write(struct file *file, const char __user *buf, size_t count,
			      loff_t *ppos)
{
	struct gpu *gpu = pde_data(file_inode(file));
	bool on;
	int ret;

	ret = kstrtobool_from_user(buf, count, &on);
	if (ret)
		return ret;

	mutex_lock(&gpu->lock);
	ret = mig_set_mode_locked(gpu, on);
	mutex_unlock(&gpu->lock);
	return ret ?: count;
}

static const struct proc_ops mig_mode_ops = {
	.proc_open = mig_mode_open,
	.proc_read = seq_read,
	.proc_write = mig_mode_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static void show_profile_locked(struct seq_file *seq, const struct gi_profile *profile)
{
	struct gpu *gpu = seq->private;
	const char *comma = "";
	unsigned int start;

	seq_printf(seq, "%u %s %u %u %u %u %u ", profile->id, profile->name, profile->slices,
		   profile->size * SLOT_MIB, mig_room_locked(gpu, profile), profile->limit,
		   profile->media);
	for (start = 0; start < POOL_SLOTS; start++) {
		if (!(profile->starts & BIT(start)))
			continue;
		seq_printf(seq, "%s%u", comma, start);
		comma = ",";
	}
	seq_printf(seq, ":%u\n", profile->size);
}

static int gi_profiles_show(struct seq_file *seq, void *unused)
{
	struct gpu *gpu = seq->private;
	unsigned int i;

	mutex_lock(&gpu->lock);
	for (i = 0; i < NR_GI_PROFILES; i++)
		show_profile_locked(seq, &gi_profiles[i]);
	mutex_unlock(&gpu->lock);
	return 0;
}

static int gpu_instances_show(struct seq_file *seq, void *unused)
{
	struct gpu *gpu = seq->private;
	unsigned int id;

	mutex_lock(&gpu->lock);
	for (id = 0; id < NR_GI_PLACES; id++) {
		const struct gpu_instance *instance = &gpu->instances[id];

		if (instance->profile)
			seq_printf(seq, "%u %u %s %u:%u %d %d\n", id, instance->profile->id,
				   instance->profile->name, instance->start,
				   instance->profile->size, instance->compute, instance->vgpu);
	}
	mutex_unlock(&gpu->lock);
	return 0;
}

static int gpu_instances_open(struct inode *inode, struct file *file)
{
	return single_open(file, gpu_instances_show, pde_data(inode));
}

static int run_locked(struct gpu *gpu, const char *verb, unsigned int number)
{
	const struct gi_profile *profile;

	if (!strcmp(verb, "create")) {
		profile = gi_profile_find(number);
		return profile ? mig_create_locked(gpu, profile) : -EINVAL;
	}
	if (!strcmp(verb, "destroy"))
		return mig_destroy_locked(gpu, number);
	if (!strcmp(verb, "create-compute"))
		return mig_set_compute_locked(gpu, number, true);
	if (!strcmp(verb, "destroy-compute"))
		return mig_set_compute_locked(gpu, number, false);
	return -EINVAL;
}

static ssize_t gpu_instances_write(struct file *file, const char __user *buf, size_t count,
				   loff_t *ppos)
{
	struct gpu *gpu = pde_data(file_inode(file));
	char command[COMMAND_SIZE] = "", *rest, *verb;
	unsigned int number;
	int ret;

	if (count >= sizeof(command))
		return -EINVAL;
	if (copy_from_user(command, buf, count))
		return -EFAULT;

	rest = strim(command);
	verb = strsep(&rest, " ");
	ret = rest ? kstrtouint(rest, 10, &number) : -EINVAL;
	if (ret)
		return ret;

	mutex_lock(&gpu->lock);
	ret = run_locked(gpu, verb, number);
	mutex_unlock(&gpu->lock);
	return ret < 0 ? ret : count;
}

static const struct proc_ops gpu_instances_ops = {
	.proc_open = gpu_instances_open,
	.proc_read = seq_read,
	.proc_write = gpu_instances_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

int mig_files_create(struct gpu *gpu)
{
	if (!proc_create_data("mig_mode", 0644, gpu->proc, &mig_mode_ops, gpu) ||
	    !proc_create_single_data("gpu_instance_profiles", 0444, gpu->proc, gi_profiles_show,
				     gpu) ||
	    !proc_create_data("gpu_instances", 0644, gpu->proc, &gpu_instances_ops, gpu))
		return -ENOMEM;
	return 0;
}
