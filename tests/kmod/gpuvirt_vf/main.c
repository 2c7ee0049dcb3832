// SPDX-License-Identifier: GPL-2.0
/*
 * gpuvirt_vf: makes an emulated SR-IOV device a GPU whose VFs are vGPUs, for gpuvirt's tests.
 *
 * The physical function comes by driver_override alone: it is a network card that another driver
 * serves. Its VFs come by themselves, as those of a vendor's driver do, but only while the physical
 * function is ours. The device's own hardware is not used.
 */
#include <linux/module.h>
#include <linux/pci.h>

#include "gpu.h"
#include "knob.h"
#include "mdev_vf.h"
#include "unbind_lock.h"
#include "vendor_vf.h"
#include "vgpu_files.h"

static struct pci_driver gpuvirt_vf_driver;

/* VFs of QEMU's "igb". Those of other devices take driver_override too. */
static const struct pci_device_id gpuvirt_vf_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x10ca) },
	{ }
};
MODULE_DEVICE_TABLE(pci, gpuvirt_vf_ids);

static int probe_vf(struct pci_dev *pdev)
{
	struct gpu *gpu = pci_iov_get_pf_drvdata(pdev, &gpuvirt_vf_driver);

	if (IS_ERR_OR_NULL(gpu))
		return -ENODEV;
	return knob_vf_mdev() ? mdev_vf_probe(pdev, gpu) : vendor_vf_probe(pdev, gpu);
}

static int gpuvirt_vf_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct gpu *gpu;

	if (pdev->is_virtfn)
		return probe_vf(pdev);
	if (!pdev->is_physfn)
		return -ENODEV;

	gpu = gpu_create(pdev);
	if (IS_ERR(gpu))
		return PTR_ERR(gpu);
	pci_set_drvdata(pdev, gpu);
	return 0;
}

static void gpuvirt_vf_remove(struct pci_dev *pdev)
{
	if (!pdev->is_virtfn)
		gpu_destroy(pci_get_drvdata(pdev));
	else if (knob_vf_mdev())
		mdev_vf_remove(pdev);
	else
		vendor_vf_remove(pdev);
}

static int gpuvirt_vf_sriov_configure(struct pci_dev *pdev, int num_vfs)
{
	return gpu_set_numvfs(pci_get_drvdata(pdev), num_vfs);
}

/* driver_managed_dma: a VF's IOMMU group belongs to the VM that opens it, not to this driver. */
static struct pci_driver gpuvirt_vf_driver = {
	.name = "gpuvirt_vf",
	.id_table = gpuvirt_vf_ids,
	.probe = gpuvirt_vf_probe,
	.remove = gpuvirt_vf_remove,
	.sriov_configure = gpuvirt_vf_sriov_configure,
	.dev_groups = vendor_vf_groups,
	.driver_managed_dma = true,
};

static int __init gpuvirt_vf_init(void)
{
	int ret;

	ret = unbind_lock_init();
	if (ret)
		return ret;

	/* vGPUs can be created as soon as the first VF is there: their driver comes first. */
	ret = mdev_register_driver(&mdev_vgpu_driver);
	if (ret)
		goto err_proc;

	ret = pci_register_driver(&gpuvirt_vf_driver);
	if (ret)
		goto err_mdev;
	return 0;

err_mdev:
	mdev_unregister_driver(&mdev_vgpu_driver);
err_proc:
	unbind_lock_exit();
	return ret;
}

static void __exit gpuvirt_vf_exit(void)
{
	pci_unregister_driver(&gpuvirt_vf_driver);
	mdev_unregister_driver(&mdev_vgpu_driver);
	unbind_lock_exit();
}

module_init(gpuvirt_vf_init);
module_exit(gpuvirt_vf_exit);

MODULE_DESCRIPTION("Emulated GPU with vGPUs on SR-IOV VFs for gpuvirt's tests");
MODULE_LICENSE("GPL");
