// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/gpuvirt_vf-ADDRESS stands for what the vendor's monitoring programs and services hold open.
 *
 * /proc/driver/gpuvirt_vf/gpus/ADDRESS/ has
 *	unbindLock	write 1 to take it, 0 to give it back; reads 1 if it is taken. The write
 *			never fails because the GPU is in use: only reading back tells
 *	mixed_size	write 1 to lift the same-size rule, 0 to have it again; -EBUSY while there
 *			are vGPUs, -EOPNOTSUPP while MIG mode is on. Stands for the vendor's
 *			command that sets this per GPU
 * and what mig_files.c names.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "gpu.h"
#include "mig_files.h"
#include "unbind_lock.h"

static struct proc_dir_entry *driver_folder;
static struct proc_dir_entry *gpus_folder;

/* Nobody new may come while the lock is taken. */
static int client_open(struct inode *inode, struct file *file)
{
	struct gpu *gpu = container_of(file->private_data, struct gpu, client);
	int ret = 0;

	mutex_lock(&gpu->lock);
	if (gpu->unbind_locked)
		ret = -EBUSY;
	else
		gpu->clients++;
	mutex_unlock(&gpu->lock);
	if (!ret)
		kref_get(&gpu->kref);
	return ret;
}

static int client_release(struct inode *inode, struct file *file)
{
	struct gpu *gpu = container_of(file->private_data, struct gpu, client);

	mutex_lock(&gpu->lock);
	gpu->clients--;
	mutex_unlock(&gpu->lock);
	wake_up_all(&gpu->no_client);
	gpu_put(gpu);
	return 0;
}

static const struct file_operations client_fops = {
	.owner = THIS_MODULE,
	.open = client_open,
	.release = client_release,
};

static int unbind_lock_show(struct seq_file *seq, void *unused)
{
	struct gpu *gpu = seq->private;

	seq_printf(seq, "%d\n", READ_ONCE(gpu->unbind_locked));
	return 0;
}

static int unbind_lock_open(struct inode *inode, struct file *file)
{
	return single_open(file, unbind_lock_show, pde_data(inode));
}

static ssize_t unbind_lock_write(struct file *file, const char __user *buf, size_t count,
				 loff_t *ppos)
{
	struct gpu *gpu = pde_data(file_inode(file));
	bool take;
	int ret;

	ret = kstrtobool_from_user(buf, count, &take);
	if (ret)
		return ret;

	mutex_lock(&gpu->lock);
	if (!take)
		gpu->unbind_locked = false;
	else if (gpu->clients || gpu->vms)
		pci_notice(gpu->pdev, "Could not acquire unbindLock: %u clients, %u VMs\n",
			   gpu->clients, gpu->vms);
	else
		gpu->unbind_locked = true;
	mutex_unlock(&gpu->lock);
	return count;
}

static const struct proc_ops unbind_lock_ops = {
	.proc_open = unbind_lock_open,
	.proc_read = seq_read,
	.proc_write = unbind_lock_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int mixed_size_show(struct seq_file *seq, void *unused)
{
	struct gpu *gpu = seq->private;

	seq_printf(seq, "%d\n", READ_ONCE(gpu->mixed_size));
	return 0;
}

static int mixed_size_open(struct inode *inode, struct file *file)
{
	return single_open(file, mixed_size_show, pde_data(inode));
}

static ssize_t mixed_size_write(struct file *file, const char __user *buf, size_t count,
				loff_t *ppos)
{
	struct gpu *gpu = pde_data(file_inode(file));
	ssize_t ret;
	bool on;

	ret = kstrtobool_from_user(buf, count, &on);
	if (ret)
		return ret;

	mutex_lock(&gpu->lock);
	if (gpu->mig) {
		ret = -EOPNOTSUPP;
	} else if (gpu->pool) {
		ret = -EBUSY;
	} else {
		gpu->mixed_size = on;
		ret = count;
	}
	mutex_unlock(&gpu->lock);
	return ret;
}

static const struct proc_ops mixed_size_ops = {
	.proc_open = mixed_size_open,
	.proc_read = seq_read,
	.proc_write = mixed_size_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

int unbind_lock_register(struct gpu *gpu)
{
	int ret = -ENOMEM;

	gpu->client.minor = MISC_DYNAMIC_MINOR;
	gpu->client.fops = &client_fops;
	gpu->client.parent = &gpu->pdev->dev;
	gpu->client.name = kasprintf(GFP_KERNEL, "gpuvirt_vf-%s", pci_name(gpu->pdev));
	if (!gpu->client.name)
		return -ENOMEM;

	gpu->proc = proc_mkdir(pci_name(gpu->pdev), gpus_folder);
	if (!gpu->proc)
		return -ENOMEM;
	if (!proc_create_data("unbindLock", 0644, gpu->proc, &unbind_lock_ops, gpu) ||
	    !proc_create_data("mixed_size", 0644, gpu->proc, &mixed_size_ops, gpu) ||
	    mig_files_create(gpu))
		goto err_proc;

	ret = misc_register(&gpu->client);
	if (ret)
		goto err_proc;
	return 0;

err_proc:
	proc_remove(gpu->proc);
	return ret;
}

/*
 * As with a vendor's driver, the unbind of a GPU that a program has open hangs until it closes it.
 * A signal does not end the wait, it only makes the writer unkillable.
 */
void unbind_lock_unregister(struct gpu *gpu)
{
	proc_remove(gpu->proc);
	misc_deregister(&gpu->client);

	if (READ_ONCE(gpu->clients))
		pci_notice(gpu->pdev, "waiting for %u clients to close the GPU\n", gpu->clients);
	if (wait_event_interruptible(gpu->no_client, !READ_ONCE(gpu->clients)))
		wait_event(gpu->no_client, !READ_ONCE(gpu->clients));
}

int unbind_lock_init(void)
{
	driver_folder = proc_mkdir("driver/gpuvirt_vf", NULL);
	if (!driver_folder)
		return -ENOMEM;

	gpus_folder = proc_mkdir("gpus", driver_folder);
	if (!gpus_folder) {
		proc_remove(driver_folder);
		return -ENOMEM;
	}
	return 0;
}

void unbind_lock_exit(void)
{
	proc_remove(driver_folder);
}
