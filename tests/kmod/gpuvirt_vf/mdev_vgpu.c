// SPDX-License-Identifier: GPL-2.0
/*
 * The vGPU of the mdev form: created and removed by the mdev core, opened through VFIO.
 */
#include <linux/module.h>
#include <linux/vfio.h>

#include "../emulated_vgpu/emulated_vgpu.h"
#include "gpu.h"
#include "mdev_vf.h"
#include "vgpu_files.h"

/* Its subsystem id tells a guest the profile, its device id which module made it. */
#define VGPU_DEVICE_ID	0x1ab1

/**
 * struct mdev_vgpu - one mediated device
 * @emulated: what the guest gets
 * @vgpu: what it has of the GPU
 */
struct mdev_vgpu {
	struct emulated_vgpu emulated;
	struct vgpu *vgpu;
};

static struct mdev_vgpu *to_mdev_vgpu(struct vfio_device *vdev)
{
	return container_of(vdev, struct mdev_vgpu, emulated.vdev);
}

struct vgpu *mdev_vgpu_vgpu(struct device *dev)
{
	struct mdev_vgpu *device = dev_get_drvdata(dev);

	return device->vgpu;
}

static int mdev_vgpu_init(struct vfio_device *vdev)
{
	struct mdev_vf_type *type = to_mdev_vf_type(to_mdev_device(vdev->dev)->type);
	struct emulated_identity identity = {
		.device_id = VGPU_DEVICE_ID,
		.profile = type->profile->id,
		.memory_mib = type->profile->slots * SLOT_MIB,
	};
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);

	device->vgpu = &type->vf->vgpu;
	emulated_vgpu_init(&device->emulated, &identity);
	return 0;
}

static int mdev_vgpu_open(struct vfio_device *vdev)
{
	struct mdev_vgpu *device = to_mdev_vgpu(vdev);
	int ret;

	ret = vgpu_open(device->vgpu);
	if (!ret)
		emulated_region_reset(&device->emulated);
	return ret;
}

static void mdev_vgpu_close(struct vfio_device *vdev)
{
	vgpu_close(to_mdev_vgpu(vdev)->vgpu);
}

/* No .dma_unmap: the VFIO core asks for it only from drivers that pin guest memory. */
static const struct vfio_device_ops mdev_vgpu_ops = {
	.name = "gpuvirt-vf-vgpu",
	.init = mdev_vgpu_init,
	.release = emulated_vgpu_release,
	.open_device = mdev_vgpu_open,
	.close_device = mdev_vgpu_close,
	.read = emulated_vgpu_read,
	.write = emulated_vgpu_write,
	.ioctl = emulated_vgpu_ioctl,
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

	device = vfio_alloc_device(mdev_vgpu, emulated.vdev, &mdev->dev, &mdev_vgpu_ops);
	if (IS_ERR(device)) {
		ret = PTR_ERR(device);
		goto err_drop;
	}

	ret = vfio_register_emulated_iommu_dev(&device->emulated.vdev);
	if (ret)
		goto err_put;

	dev_set_drvdata(&mdev->dev, device);
	return 0;

err_put:
	vfio_put_device(&device->emulated.vdev);
err_drop:
	vgpu_drop(vgpu);
	return ret;
}

/* The memory goes back after the last user, so that nothing is promised that a guest still has. */
static void mdev_vgpu_remove(struct mdev_device *mdev)
{
	struct mdev_vgpu *device = dev_get_drvdata(&mdev->dev);
	struct vgpu *vgpu = device->vgpu;

	vfio_unregister_group_dev(&device->emulated.vdev);
	vfio_put_device(&device->emulated.vdev);
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
