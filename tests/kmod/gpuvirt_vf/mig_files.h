/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of a GPU's MIG mode and its GPU instances, below /proc/driver.
 */
#ifndef GPUVIRT_VF_MIG_FILES_H
#define GPUVIRT_VF_MIG_FILES_H

struct gpu;

int mig_files_create(struct gpu *gpu);

#endif
