// SPDX-License-Identifier: GPL-2.0
/*
 * gpuvirt_mdev: makes an emulated PCI device a GPU with vGPUs, for gpuvirt's tests.
 *
 * The device's own hardware is never touched, so besides QEMU's "edu" the driver can take any PCI
 * function that its driver_override names.
 */
#include <linux/module.h>
#include <linux/pci.h>

#include "gpu.h"
#include "vgpu.h"

/* QEMU's "edu" device. */
static const struct pci_device_id gpuvirt_mdev_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, gpuvirt_mdev_ids);

static int gpuvirt_mdev_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct gpu *gpu = gpu_create(pdev);

	if (IS_ERR(gpu))
		return PTR_ERR(gpu);
	pci_set_drvdata(pdev, gpu);
	return 0;
}

static void gpuvirt_mdev_remove(struct pci_dev *pdev)
{
	gpu_destroy(pci_get_drvdata(pdev));
}

/* The name is the contract: the mdev core puts it in front of every type's name. */
static struct pci_driver gpuvirt_mdev_driver = {
	.name = "gpuvirt_mdev",
	.id_table = gpuvirt_mdev_ids,
	.probe = gpuvirt_mdev_probe,
	.remove = gpuvirt_mdev_remove,
};

static int __init gpuvirt_mdev_init(void)
{
	int ret;

	/* vGPUs can be created as soon as the first parent is there: their driver comes first. */
	ret = mdev_register_driver(&vgpu_driver);
	if (ret)
		return ret;

	ret = pci_register_driver(&gpuvirt_mdev_driver);
	if (ret)
		mdev_unregister_driver(&vgpu_driver);
	return ret;
}

static void __exit gpuvirt_mdev_exit(void)
{
	pci_unregister_driver(&gpuvirt_mdev_driver);
	mdev_unregister_driver(&vgpu_driver);
}

module_init(gpuvirt_mdev_init);
module_exit(gpuvirt_mdev_exit);

MODULE_DESCRIPTION("Emulated GPU with mediated vGPUs for gpuvirt's tests");
MODULE_LICENSE("GPL");
