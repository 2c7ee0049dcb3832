/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vendor's files: the folder nvidia/ of a VF, and the smaller one of a vGPU that is an mdev.
 */
#ifndef GPUVIRT_VF_VGPU_FILES_H
#define GPUVIRT_VF_VGPU_FILES_H

#include <linux/sysfs.h>

extern const struct attribute_group *vendor_vf_groups[];
extern const struct attribute_group *mdev_vgpu_groups[];

#endif
