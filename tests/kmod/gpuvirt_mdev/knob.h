/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Knobs: module parameters by which a test changes how every emulated GPU behaves.
 */
#ifndef GPUVIRT_MDEV_KNOB_H
#define GPUVIRT_MDEV_KNOB_H

#include <linux/types.h>

bool knob_same_size(void);
unsigned int knob_pool_mib(void);
int knob_next_create_error(void);
void knob_wait_before_create(void);
void knob_wait_before_remove(void);

#endif
