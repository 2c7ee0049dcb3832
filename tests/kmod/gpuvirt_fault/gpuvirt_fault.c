// SPDX-License-Identifier: GPL-2.0
/*
 * gpuvirt_fault: make one call of one kernel function fail, once.
 *
 *	insmod gpuvirt_fault.ko function=driver_set_override nth=2 errno=5
 *
 * The nth call of the function after loading returns -errno at once instead
 * of running; every other call runs as always. The parameter "struck" reads Y
 * once that has happened. The function must return int, long or ssize_t.
 *
 * It works as the kernel's own error injection does (override_function_with_return,
 * which modules can't call): a kprobe at the function's first instruction sets
 * the return value and lets the CPU return to the caller. x86-64 only, and for
 * tests in a virtual machine only.
 */
#include <asm/ibt.h>
#include <asm/linkage.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>

static char *function;
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "name of the kernel function that fails");

static int nth = 1;
module_param(nth, int, 0444);
MODULE_PARM_DESC(nth, "which call after loading fails, from 1");

static int errno = 5;
module_param(errno, int, 0444);
MODULE_PARM_DESC(errno, "with which errno, as a positive number");

static bool struck;
module_param(struck, bool, 0444);
MODULE_PARM_DESC(struck, "whether the call has failed");

static atomic_t calls = ATOMIC_INIT(0);

/*
 * Where a failing call goes instead of into the function: straight back to
 * its caller. The stack pointer can't be changed from a probe on an ftrace
 * site, so the return must be an instruction that the CPU executes.
 */
void gpuvirt_fault_return(void);
asm(".pushsection .text, \"ax\", @progbits\n"
    ".type gpuvirt_fault_return, @function\n"
    ".globl gpuvirt_fault_return\n"
    "gpuvirt_fault_return:\n"
    ASM_ENDBR
    ASM_RET
    ".size gpuvirt_fault_return, . - gpuvirt_fault_return\n"
    ".popsection\n");

static int fault_entry(struct kprobe *probe, struct pt_regs *regs)
{
	if (atomic_inc_return(&calls) != nth)
		return 0;

	regs_set_return_value(regs, -errno);
	instruction_pointer_set(regs, (unsigned long)&gpuvirt_fault_return);
	struck = true;
	/* Non-zero: the instruction pointer was set, do not single-step. */
	return 1;
}
NOKPROBE_SYMBOL(fault_entry);

/*
 * Does nothing, but must be there: a kprobe with a post handler is neither
 * optimised into a jump nor placed on an ftrace site that ignores a changed
 * instruction pointer.
 */
static void fault_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe fault_probe = {
	.pre_handler = fault_entry,
	.post_handler = fault_after,
};

static int __init fault_init(void)
{
	if (!function || nth < 1 || errno < 1 || errno > MAX_ERRNO)
		return -EINVAL;

	fault_probe.symbol_name = function;
	return register_kprobe(&fault_probe);
}

static void __exit fault_exit(void)
{
	unregister_kprobe(&fault_probe);
}

module_init(fault_init);
module_exit(fault_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("gpuvirt tests: one failing call of a kernel function");
