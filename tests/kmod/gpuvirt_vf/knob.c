// SPDX-License-Identifier: GPL-2.0
/*
 * Module parameters. All but vf_mdev can be written at any time in
 * /sys/module/gpuvirt_vf/parameters/.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/moduleparam.h>

#include "knob.h"

/* Above this lie the kernel's own codes, which user space never sees. */
#define LAST_USER_ERRNO		511

static int errno_set(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, 0, LAST_USER_ERRNO);
}

static const struct kernel_param_ops errno_ops = {
	.set = errno_set,
	.get = param_get_uint,
};

/* Not at run time: a VF that is bound has one form, and keeps it. */
static bool vf_mdev;
module_param(vf_mdev, bool, 0444);
MODULE_PARM_DESC(vf_mdev, "Each VF is an mdev parent for one vGPU, without vendor files");

static bool same_size;
module_param(same_size, bool, 0644);
MODULE_PARM_DESC(same_size, "The first vGPU of a GPU sets the size for all others");

static bool header = true;
module_param(header, bool, 0644);
MODULE_PARM_DESC(header, "creatable_vgpu_types starts with a header, and its ids are padded");

static bool hold_teardown;
module_param(hold_teardown, bool, 0644);
MODULE_PARM_DESC(hold_teardown, "A VF that a VM has closed counts as busy until this is N again");

static unsigned int numvfs_errno;
module_param_cb(numvfs_errno, &errno_ops, &numvfs_errno, 0644);
MODULE_PARM_DESC(numvfs_errno, "Writes to sriov_numvfs without the unbindLock fail with this errno");

static unsigned int busy_errno = EPERM;
module_param_cb(busy_errno, &errno_ops, &busy_errno, 0644);
MODULE_PARM_DESC(busy_errno, "Destroying the vGPU of a busy VF fails with this errno");

static unsigned int fail_create;
module_param_cb(fail_create, &errno_ops, &fail_create, 0644);
MODULE_PARM_DESC(fail_create, "The next create fails with this errno, then the knob is 0 again");

static unsigned int fail_destroy;
module_param_cb(fail_destroy, &errno_ops, &fail_destroy, 0644);
MODULE_PARM_DESC(fail_destroy, "The next destroy fails with this errno, then the knob is 0 again");

bool knob_vf_mdev(void)
{
	return vf_mdev;
}

bool knob_same_size(void)
{
	return READ_ONCE(same_size);
}

bool knob_header(void)
{
	return READ_ONCE(header);
}

bool knob_hold_teardown(void)
{
	return READ_ONCE(hold_teardown);
}

int knob_numvfs_error(void)
{
	return -(int)READ_ONCE(numvfs_errno);
}

/* There is no "busy, and yet it works": 0 gives the default. */
int knob_busy_error(void)
{
	return -(int)(READ_ONCE(busy_errno) ?: EPERM);
}

/* The error, as a negative errno, that the create under way must return; 0 for none. */
int knob_next_create_error(void)
{
	return -(int)xchg(&fail_create, 0);
}

int knob_next_destroy_error(void)
{
	return -(int)xchg(&fail_destroy, 0);
}
