// SPDX-License-Identifier: GPL-2.0
/*
 * The VF as an mdev parent. Its available_instances are 0 or 1, and change with what is created on
 * the GPU's other VFs, for the memory is one.
 */
#include <linux/pci.h>
#include <linux/slab.h>

#include "mdev_vf.h"

int mdev_vf_probe(struct pci_dev *pdev, struct gpu *gpu)
{
	struct mdev_vf *vf;
	unsigned int i;
	int ret;

	vf = kzalloc(sizeof(*vf), GFP_KERNEL);
	if (!vf)
		return -ENOMEM;

	vf->vgpu.gpu = gpu;
	for (i = 0; i < NR_PROFILES; i++) {
		struct mdev_vf_type *type = &vf->types[i];

		type->profile = &profiles[i];
		type->vf = vf;
		type->type.sysfs_name = profiles[i].sysfs_name;
		type->type.pretty_name = profiles[i].name;
		vf->type_list[i] = &type->type;
	}

	pci_set_drvdata(pdev, vf);
	ret = mdev_register_parent(&vf->parent, &pdev->dev, &mdev_vgpu_driver, vf->type_list,
				   NR_PROFILES);
	if (ret)
		kfree(vf);
	return ret;
}

/* Removes the VF's vGPU; blocks while a VM has it. */
void mdev_vf_remove(struct pci_dev *pdev)
{
	struct mdev_vf *vf = pci_get_drvdata(pdev);

	mdev_unregister_parent(&vf->parent);
	WARN_ON(vf->vgpu.profile);
	kfree(vf);
}
