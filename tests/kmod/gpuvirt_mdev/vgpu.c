// SPDX-License-Identifier: GPL-2.0
/*
 * The vGPU's life: created and removed by the mdev core, opened through VFIO.
 *
 * There is no .request callback on purpose. With it the core would ask QEMU to unplug the device;
 * without it a removal simply waits until the last user closes the device, which is what a test of
 * a blocked removal needs.
 */
#include <linux/module.h>
#include <linux/vfio.h>

#include "gpu.h"
#include "knob.h"
#include "vgpu.h"

/* Its subsystem id tells a guest the profile, its device id which module made it. */
#define VGPU_DEVICE_ID	0x1ab0

static int vgpu_init(struct vfio_device *vdev)
{
	struct vgpu *vgpu = container_of(vdev, struct vgpu, emulated.vdev);
	struct emulated_identity identity = { .device_id = VGPU_DEVICE_ID };

	vgpu->type = to_gpu_type(to_mdev_device(vdev->dev)->type);
	identity.profile = vgpu->type->profile->subsystem_id;
	identity.memory_mib = vgpu->type->profile->memory_mib;
	emulated_vgpu_init(&vgpu->emulated, &identity);
	return 0;
}

static int vgpu_open(struct vfio_device *vdev)
{
	emulated_region_reset(to_emulated_vgpu(vdev));
	return 0;
}

/* No .dma_unmap: the VFIO core asks for it only from drivers that pin guest memory. */
static const struct vfio_device_ops vgpu_ops = {
	.name = "gpuvirt-vgpu",
	.init = vgpu_init,
	.release = emulated_vgpu_release,
	.open_device = vgpu_open,
	.read = emulated_vgpu_read,
	.write = emulated_vgpu_write,
	.ioctl = emulated_vgpu_ioctl,
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

	knob_wait_before_create();
	ret = knob_next_create_error();
	if (ret)
		return ret;

	ret = gpu_type_take(type);
	if (ret)
		return ret;

	vgpu = vfio_alloc_device(vgpu, emulated.vdev, &mdev->dev, &vgpu_ops);
	if (IS_ERR(vgpu)) {
		ret = PTR_ERR(vgpu);
		goto err_give_back;
	}

	ret = vfio_register_emulated_iommu_dev(&vgpu->emulated.vdev);
	if (ret)
		goto err_put;

	dev_set_drvdata(&mdev->dev, vgpu);
	return 0;

err_put:
	vfio_put_device(&vgpu->emulated.vdev);
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
	vfio_unregister_group_dev(&vgpu->emulated.vdev);
	vfio_put_device(&vgpu->emulated.vdev);
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
