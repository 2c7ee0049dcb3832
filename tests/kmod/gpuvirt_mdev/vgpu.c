// SPDX-License-Identifier: GPL-2.0
/*
 * The vGPU's life: created and removed by the mdev core, opened through VFIO.
 *
 * There is no .request callback on purpose. With it the core would ask QEMU to unplug the device;
 * without it a removal simply waits until the last user closes the device, which is what a test of
 * a blocked removal needs.
 */
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "gpu.h"
#include "knob.h"
#include "vgpu.h"

static struct vgpu *to_vgpu(struct vfio_device *vdev)
{
	return container_of(vdev, struct vgpu, vdev);
}

static int vgpu_init(struct vfio_device *vdev)
{
	struct vgpu *vgpu = to_vgpu(vdev);

	vgpu->type = to_gpu_type(to_mdev_device(vdev->dev)->type);
	mutex_init(&vgpu->lock);
	return 0;
}

static void vgpu_release(struct vfio_device *vdev)
{
	mutex_destroy(&to_vgpu(vdev)->lock);
}

/* First open: each VM starts with a fresh device. */
static int vgpu_open(struct vfio_device *vdev)
{
	vgpu_region_reset(to_vgpu(vdev));
	return 0;
}

static ssize_t vgpu_read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *ppos)
{
	return vgpu_region_read(to_vgpu(vdev), buf, count, ppos);
}

static ssize_t vgpu_write(struct vfio_device *vdev, const char __user *buf, size_t count,
			  loff_t *ppos)
{
	return vgpu_region_write(to_vgpu(vdev), buf, count, ppos);
}

static long vgpu_get_info(void __user *arg)
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
static long vgpu_get_region_info(void __user *arg)
{
	size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;

	info.offset = VFIO_PCI_INDEX_TO_OFFSET(info.index);
	info.size = vgpu_region_size(info.index);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* The same for interrupts: every index is known, and none has a vector. */
static long vgpu_get_irq_info(void __user *arg)
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

static long vgpu_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return vgpu_get_info((void __user *)arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return vgpu_get_region_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return vgpu_get_irq_info((void __user *)arg);
	case VFIO_DEVICE_RESET:
		vgpu_region_reset(to_vgpu(vdev));
		return 0;
	default:
		return -ENOTTY;
	}
}

/* No .dma_unmap: the VFIO core asks for it only from drivers that pin guest memory. */
static const struct vfio_device_ops vgpu_ops = {
	.name = "gpuvirt-vgpu",
	.init = vgpu_init,
	.release = vgpu_release,
	.open_device = vgpu_open,
	.read = vgpu_read,
	.write = vgpu_write,
	.ioctl = vgpu_ioctl,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
};

/* A write to "create" ends here, after the core judged the UUID. Our errno is the writer's. */
static int vgpu_probe(struct mdev_device *mdev)
{
	struct gpu_type *type = to_gpu_type(mdev->type);
	struct vgpu *vgpu;
	int ret;

	ret = knob_next_create_error();
	if (ret)
		return ret;

	ret = gpu_type_take(type);
	if (ret)
		return ret;

	vgpu = vfio_alloc_device(vgpu, vdev, &mdev->dev, &vgpu_ops);
	if (IS_ERR(vgpu)) {
		ret = PTR_ERR(vgpu);
		goto err_give_back;
	}

	ret = vfio_register_emulated_iommu_dev(&vgpu->vdev);
	if (ret)
		goto err_put;

	dev_set_drvdata(&mdev->dev, vgpu);
	return 0;

err_put:
	vfio_put_device(&vgpu->vdev);
err_give_back:
	gpu_type_give_back(type);
	return ret;
}

/*
 * A write to "remove", the parent's unbind and the module's unload end here. The unregistration
 * waits for the last user; the memory goes back only after it, so that available_instances never
 * promises what a guest still has.
 */
static void vgpu_remove(struct mdev_device *mdev)
{
	struct vgpu *vgpu = dev_get_drvdata(&mdev->dev);
	struct gpu_type *type = vgpu->type;

	knob_wait_before_remove();
	vfio_unregister_group_dev(&vgpu->vdev);
	vfio_put_device(&vgpu->vdev);
	gpu_type_give_back(type);
}

static unsigned int vgpu_get_available(struct mdev_type *type)
{
	return gpu_type_available(to_gpu_type(type));
}

static ssize_t vgpu_show_description(struct mdev_type *type, char *buf)
{
	return profile_describe(to_gpu_type(type)->profile, knob_pool_mib(), buf);
}

struct mdev_driver vgpu_driver = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.driver = {
		.name = "gpuvirt-vgpu",
		.owner = THIS_MODULE,
		.mod_name = KBUILD_MODNAME,
	},
	.probe = vgpu_probe,
	.remove = vgpu_remove,
	.get_available = vgpu_get_available,
	.show_description = vgpu_show_description,
};
