/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The GPU's other users: programs of the host that have it open, and the lock that keeps them out.
 */
#ifndef GPUVIRT_VF_UNBIND_LOCK_H
#define GPUVIRT_VF_UNBIND_LOCK_H

struct gpu;

int unbind_lock_init(void);
void unbind_lock_exit(void);
int unbind_lock_register(struct gpu *gpu);
void unbind_lock_unregister(struct gpu *gpu);

#endif
