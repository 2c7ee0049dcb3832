/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Knobs: module parameters by which a test changes how every GPU behaves.
 */
#ifndef GPUVIRT_VF_KNOB_H
#define GPUVIRT_VF_KNOB_H

#include <linux/types.h>

bool knob_vf_mdev(void);
bool knob_same_size(void);
bool knob_header(void);
bool knob_hold_teardown(void);
int knob_numvfs_error(void);
int knob_busy_error(void);
int knob_next_create_error(void);
int knob_next_destroy_error(void);

#endif
