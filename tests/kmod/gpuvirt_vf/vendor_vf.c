// SPDX-License-Identifier: GPL-2.0
/*
 * A variant of vfio-pci: the VF itself goes to the VM, once it has a type.
 */
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "vendor_vf.h"
#include "vgpu.h"

struct vendor_vf {
	struct vfio_pci_core_device core;
	struct vgpu vgpu;
};

/* vfio-pci-core wants its own structure as the driver's data. */
static struct vendor_vf *to_vendor_vf(struct device *dev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(dev);

	return container_of(core, struct vendor_vf, core);
}

struct vgpu *vendor_vf_vgpu(struct device *dev)
{
	return &to_vendor_vf(dev)->vgpu;
}

static int vendor_vf_open(struct vfio_device *vdev)
{
	struct vendor_vf *vf = container_of(vdev, struct vendor_vf, core.vdev);
	int ret;

	ret = vgpu_open(&vf->vgpu);
	if (ret)
		return ret;

	ret = vfio_pci_core_enable(&vf->core);
	if (ret) {
		vgpu_close(&vf->vgpu);
		return ret;
	}
	vfio_pci_core_finish_enable(&vf->core);
	return 0;
}

static void vendor_vf_close(struct vfio_device *vdev)
{
	struct vendor_vf *vf = container_of(vdev, struct vendor_vf, core.vdev);

	vfio_pci_core_close_device(vdev);
	vgpu_close(&vf->vgpu);
}

static const struct vfio_device_ops vendor_vf_ops = {
	.name = "gpuvirt-vf-vfio-pci",
	.init = vfio_pci_core_init_dev,
	.release = vfio_pci_core_release_dev,
	.open_device = vendor_vf_open,
	.close_device = vendor_vf_close,
	.ioctl = vfio_pci_core_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = vfio_pci_core_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

int vendor_vf_probe(struct pci_dev *pdev, struct gpu *gpu)
{
	struct vendor_vf *vf;
	int ret;

	vf = vfio_alloc_device(vendor_vf, core.vdev, &pdev->dev, &vendor_vf_ops);
	if (IS_ERR(vf))
		return PTR_ERR(vf);

	/* All before it is registered: from then on it can be opened. */
	vf->vgpu.gpu = gpu;
	dev_set_drvdata(&pdev->dev, &vf->core);
	ret = vfio_pci_core_register_device(&vf->core);
	if (ret)
		vfio_put_device(&vf->core.vdev);
	return ret;
}

/* Waits until the VM that has the VF lets go of it; the core asks it to, by way of .request. */
void vendor_vf_remove(struct pci_dev *pdev)
{
	struct vendor_vf *vf = to_vendor_vf(&pdev->dev);

	vfio_pci_core_unregister_device(&vf->core);
	vgpu_drop(&vf->vgpu);
	vfio_put_device(&vf->core.vdev);
}
