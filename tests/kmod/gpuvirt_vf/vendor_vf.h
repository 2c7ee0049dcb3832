/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vendor-specific form of a VF: a VFIO PCI device of its own driver, with the vendor's files.
 */
#ifndef GPUVIRT_VF_VENDOR_VF_H
#define GPUVIRT_VF_VENDOR_VF_H

struct device;
struct gpu;
struct pci_dev;
struct vgpu;

int vendor_vf_probe(struct pci_dev *pdev, struct gpu *gpu);
void vendor_vf_remove(struct pci_dev *pdev);
struct vgpu *vendor_vf_vgpu(struct device *dev);

#endif
