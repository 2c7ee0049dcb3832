// SPDX-License-Identifier: GPL-2.0
/*
 * The vGPU of the mdev form: created and removed by the mdev core, opened through VFIO.
 */
#include <linux/module.h>
#include <linux/uaccess.h>

#include "gpu.h"
#include "mdev_vf.h"
#include "mdev_vgpu.h"
#include "vgpu_files.h"

static struct mdev_vgpu *to_mdev_vgpu(struct vfio_device *vdev)
{
	return container_of(vdev, struct mdev_vgpu, vdev);
}

struct vgpu *mdev_vgpu_vgpu(struct device *dev)
{
	struct mdev_vgpu *device = dev_get_drvdata(dev);

	return device->vgpu;
}

static ssize_t mdev_vgpu_read(struct vfio_device *vdev, char __user *buf, size_t count,
			      loff_t *ppos)
{
	return mdev_region_read(to_mdev_vgpu(vdev), buf, count, ppos);
}

static ssize_t mdev_vgpu_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			       loff_t *ppos)
{
	return mdev_region_write(to_mdev_vgpu(vdev), buf, count, ppos);
}

static int mdev_vgpu_init(struct vfio_device *vdev)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);

	device->vgpu = &to_mdev_vf_type(to_mdev_device(vdev->dev)->type)->vf->vgpu;
	mutex_init(&device->lock);
	return 0;
}

static void mdev_vgpu_release(struct vfio_device *vdev)
{
	mutex_destroy(&to_mdev_vgpu(vdev)->lock);
}

static int mdev_vgpu_open(struct vfio_device *vdev)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);
	int ret;

	ret = vgpu_open(device->vgpu);
	if (!ret)
		mdev_region_reset(device);
	return ret;
}

static void mdev_vgpu_close(struct vfio_device *vdev)
{
	vgpu_close(to_mdev_vgpu(vdev)->vgpu);
}

static long get_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* A region of size 0 is how VFIO says "this PCI device has none here". */
static long get_region_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;

	info.offset = VFIO_PCI_INDEX_TO_OFFSET(info.index);
	info.size = mdev_region_size(info.index);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* The same for interrupts: every index is known, and none has a vector. */
static long get_irq_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;

	info.flags = 0;
	info.count = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long mdev_vgpu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info((void __user *)arg);
	case VFIO_DEVICE_RESET:
		mdev_region_reset(to_mdev_vgpu(vdev));
		return 0;
	default:
		return -ENOTTY;
	}
}

/* No .dma_unmap: the VFIO core asks for it only from drivers that pin guest memory. */
static const struct vfio_device_ops mdev_vgpu_ops = {
	.name = "gpuvirt-vf-vgpu",
	.init = mdev_vgpu_init,
	.release = mdev_vgpu_release,
	.open_device = mdev_vgpu_open,
	.close_device = mdev_vgpu_close,
	.read = mdev_vgpu_read,
	.write = mdev_vgpu_write,
	.ioctl = mdev_vgpu_ioctl,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

static int mdev_vgpu_probe(struct mdev_device *mdev)
{
	struct mdev_vf_type *type = to_mdev_vf_type(mdev->type);
	struct vgpu *vgpu = &type->vf->vgpu;
	struct mdev_vgpu *device;
	int ret;

	ret = vgpu_create(vgpu, type->profile);
	if (ret)
		return ret;

	device = vfio_alloc_device(mdev_vgpu, vdev, &mdev->dev, &mdev_vgpu_ops);
	if (IS_ERR(device)) {
		ret = PTR_ERR(device);
		goto err_drop;
	}

	ret = vfio_register_emulated_iommu_dev(&device->vdev);
	if (ret)
		goto err_put;

	dev_set_drvdata(&mdev->dev, device);
	return 0;

err_put:
	vfio_put_device(&device->vdev);
err_drop:
	vgpu_drop(vgpu);
	return ret;
}

/* The memory goes back after the last user, so that nothing is promised that a guest still has. */
static void mdev_vgpu_remove(struct mdev_device *mdev)
{
	struct mdev_vgpu *device = dev_get_drvdata(&mdev->dev);
	struct vgpu *vgpu = device->vgpu;

	vfio_unregister_group_dev(&device->vdev);
	vfio_put_device(&device->vdev);
	vgpu_drop(vgpu);
}

static unsigned int mdev_vgpu_get_available(struct mdev_type *type)
{
	struct mdev_vf_type *vf_type = to_mdev_vf_type(type);
	struct vgpu *vgpu = &vf_type->vf->vgpu;
	bool creatable;

	mutex_lock(&vgpu->gpu->lock);
	creatable = vgpu_creatable_locked(vgpu, vf_type->profile);
	mutex_unlock(&vgpu->gpu->lock);
	return creatable;
}

static ssize_t mdev_vgpu_show_description(struct mdev_type *type, char *buf)
{
	return profile_describe(to_mdev_vf_type(type)->profile, buf);
}

struct mdev_driver mdev_vgpu_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.driver = {
		.name = "gpuvirt-vf-vgpu",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
		.dev_groups = mdev_vgpu_groups,
	},
	.probe = mdev_vgpu_probe,
	.remove = mdev_vgpu_remove,
	.get_available = mdev_vgpu_get_available,
	.show_description = mdev_vgpu_show_description,
};
