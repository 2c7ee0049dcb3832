// SPDX-License-Identifier: GPL-2.0
/*
 * gpuvirt_fault: make one call of one kernel function fail, once, or kill a
 * process there.
 *
 *	insmod gpuvirt_fault.ko function=driver_set_override nth=2 errno=5
 *	insmod gpuvirt_fault.ko function=unbind_store nth=1 errno=0 victim=812
 *
 * The nth call of the function after loading returns -errno at once instead
 * of running; every other call runs as always, and with errno=0 that one too.
 * The parameter "struck" reads Y once that has happened. The function must
 * return int, long or ssize_t.
 *
 * With a victim, that process gets SIGKILL at that very call, whoever makes
 * it: errno=0 kills it while the call is made, errno=4 before anything of it
 * is done. A call that the victim makes itself is its last.
 *
 *	insmod gpuvirt_fault.ko function=unbind_store errno=0 victim=812 hold=Y
 *
 * With "hold" that call waits, as one that waits for a device does: no signal
 * ends it. It runs when N is written to the parameter, or after "hold_ms", as
 * with a driver that is slow.
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
#include <linux/jiffies.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

static char *function;
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "name of the kernel function that fails");

static int nth = 1;
module_param(nth, int, 0444);
MODULE_PARM_DESC(nth, "which call after loading fails, from 1");

static int errno = 5;
module_param(errno, int, 0444);
MODULE_PARM_DESC(errno, "with which errno, as a positive number; 0: it runs as always");

static int victim;
module_param(victim, int, 0444);
MODULE_PARM_DESC(victim, "process that is killed at that call; 0: none");

static int caller;
module_param(caller, int, 0444);
MODULE_PARM_DESC(caller, "process whose calls count; 0: everybody's");

static bool hold;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "whether that call waits, until this is N, and then runs");

static unsigned int hold_ms;
module_param(hold_ms, uint, 0444);
MODULE_PARM_DESC(hold_ms, "for how long it waits at most; 0: until hold is N");

static bool struck;
module_param(struck, bool, 0444);
MODULE_PARM_DESC(struck, "whether the call has failed");

static atomic_t calls = ATOMIC_INIT(0);

/* Taken when loading: a number that was given to another process since kills nobody. */
static struct pid *victim_pid;

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

/*
 * Where a held call goes first: it keeps the arguments, waits, and begins
 * anew. The probe lets it pass then, since it is not the nth call any more.
 */
void gpuvirt_fault_held(void);
asmlinkage void gpuvirt_fault_wait(void);
void *gpuvirt_fault_target;
asm(".pushsection .text, \"ax\", @progbits\n"
    ".type gpuvirt_fault_held, @function\n"
    ".globl gpuvirt_fault_held\n"
    "gpuvirt_fault_held:\n"
    ASM_ENDBR
    "push %rdi\n"
    "push %rsi\n"
    "push %rdx\n"
    "push %rcx\n"
    "push %r8\n"
    "push %r9\n"
    "sub $8, %rsp\n"
    "call gpuvirt_fault_wait\n"
    "add $8, %rsp\n"
    "pop %r9\n"
    "pop %r8\n"
    "pop %rcx\n"
    "pop %rdx\n"
    "pop %rsi\n"
    "pop %rdi\n"
    "push gpuvirt_fault_target(%rip)\n"
    ASM_RET
    ".size gpuvirt_fault_held, . - gpuvirt_fault_held\n"
    ".popsection\n");

/* It leaves by a return to where the call began. */
STACK_FRAME_NON_STANDARD(gpuvirt_fault_held);

static atomic_t waiting = ATOMIC_INIT(0);

asmlinkage void gpuvirt_fault_wait(void)
{
	unsigned long end = jiffies + msecs_to_jiffies(hold_ms);

	while (READ_ONCE(hold) && (!hold_ms || time_before(jiffies, end)))
		schedule_timeout_uninterruptible(HZ / 20);
	atomic_dec(&waiting);
}

static int fault_entry(struct kprobe *probe, struct pt_regs *regs)
{
	if (caller && task_tgid_nr(current) != caller)
		return 0;
	if (atomic_inc_return(&calls) != nth)
		return 0;

	struck = true;
	if (victim_pid)
		kill_pid(victim_pid, SIGKILL, 1);
	if (hold) {
		gpuvirt_fault_target = (void *)probe->addr;
		atomic_inc(&waiting);
		instruction_pointer_set(regs, (unsigned long)&gpuvirt_fault_held);
		return 1;
	}
	if (!errno)
		return 0;

	regs_set_return_value(regs, -errno);
	instruction_pointer_set(regs, (unsigned long)&gpuvirt_fault_return);
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
	int ret;

	if (!function || nth < 1 || errno < 0 || errno > MAX_ERRNO || victim < 0)
		return -EINVAL;

	if (victim) {
		victim_pid = find_get_pid(victim);
		if (!victim_pid)
			return -ESRCH;
	}
	fault_probe.symbol_name = function;
	ret = register_kprobe(&fault_probe);
	if (ret)
		put_pid(victim_pid);
	return ret;
}

static void __exit fault_exit(void)
{
	/* A held call comes back through us: it has to be on its way. */
	WRITE_ONCE(hold, false);
	while (atomic_read(&waiting))
		schedule_timeout_uninterruptible(HZ / 20);
	schedule_timeout_uninterruptible(HZ / 5);
	unregister_kprobe(&fault_probe);
	put_pid(victim_pid);
}

module_init(fault_init);
module_exit(fault_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("gpuvirt tests: one failing call of a kernel function, or a process killed there");
