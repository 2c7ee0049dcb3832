// SPDX-License-Identifier: GPL-2.0
/*
 * Module parameters. All can be written at any time in /sys/module/gpuvirt_mdev/parameters/.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/wait.h>

#include "knob.h"

/* Above this lie the kernel's own codes, which user space never sees. */
#define LAST_USER_ERRNO		511

#define LONGEST_DELAY_MS		600000

#define LARGEST_POOL_GIB	1024

static bool same_size;
module_param(same_size, bool, 0644);
MODULE_PARM_DESC(same_size, "The first vGPU of a GPU sets the capacity of all other types to 0");

static unsigned int pool_gib = 8;

static int pool_gib_set(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, 1, LARGEST_POOL_GIB);
}

static const struct kernel_param_ops pool_gib_ops = {
	.set = pool_gib_set,
	.get = param_get_uint,
};

module_param_cb(pool_gib, &pool_gib_ops, &pool_gib, 0644);
MODULE_PARM_DESC(pool_gib, "Memory of each GPU in GiB, from which all its vGPUs are cut");

static unsigned int fail_create;

static int fail_create_set(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, 0, LAST_USER_ERRNO);
}

static const struct kernel_param_ops fail_create_ops = {
	.set = fail_create_set,
	.get = param_get_uint,
};

module_param_cb(fail_create, &fail_create_ops, &fail_create, 0644);
MODULE_PARM_DESC(fail_create, "The next create fails with this errno, then the knob is 0 again");

static unsigned int create_delay_ms;

static int create_delay_ms_set(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, 0, LONGEST_DELAY_MS);
}

static const struct kernel_param_ops create_delay_ms_ops = {
	.set = create_delay_ms_set,
	.get = param_get_uint,
};

module_param_cb(create_delay_ms, &create_delay_ms_ops, &create_delay_ms, 0644);
MODULE_PARM_DESC(create_delay_ms, "Each create takes this much longer");

static unsigned int remove_delay_ms;

static int remove_delay_ms_set(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, 0, LONGEST_DELAY_MS);
}

static const struct kernel_param_ops remove_delay_ms_ops = {
	.set = remove_delay_ms_set,
	.get = param_get_uint,
};

module_param_cb(remove_delay_ms, &remove_delay_ms_ops, &remove_delay_ms, 0644);
MODULE_PARM_DESC(remove_delay_ms, "Each removal takes this much longer");

static bool hold_remove;
static DECLARE_WAIT_QUEUE_HEAD(hold_remove_changed);

static int hold_remove_set(const char *value, const struct kernel_param *kp)
{
	int ret = param_set_bool(value, kp);

	wake_up_all(&hold_remove_changed);
	return ret;
}

static const struct kernel_param_ops hold_remove_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = hold_remove_set,
	.get = param_get_bool,
};

module_param_cb(hold_remove, &hold_remove_ops, &hold_remove, 0644);
MODULE_PARM_DESC(hold_remove, "Removals wait until this is N again");

bool knob_same_size(void)
{
	return READ_ONCE(same_size);
}

unsigned int knob_pool_mib(void)
{
	return READ_ONCE(pool_gib) * 1024;
}

/* The error, as a negative errno, that the create under way must return; 0 for none. */
int knob_next_create_error(void)
{
	return -(int)xchg(&fail_create, 0);
}

void knob_wait_before_create(void)
{
	unsigned int delay_ms = READ_ONCE(create_delay_ms);

	if (delay_ms)
		msleep(delay_ms);
}

/*
 * A removal cannot fail in this kernel, only take its time. A signal does not end the wait either:
 * as in the core's own wait for a device that is in use, it only makes the writer unkillable.
 */
void knob_wait_before_remove(void)
{
	unsigned int delay_ms;

	if (wait_event_interruptible(hold_remove_changed, !READ_ONCE(hold_remove)))
		wait_event(hold_remove_changed, !READ_ONCE(hold_remove));

	delay_ms = READ_ONCE(remove_delay_ms);
	if (delay_ms)
		msleep(delay_ms);
}
