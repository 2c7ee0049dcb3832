//! libvirt's hook.

use crate::explain_code::Explanation;

pub(super) const TEXTS: &[Explanation] = &[
    Explanation {
        name: "hook-missing",
        cause: "libvirt runs /etc/libvirt/hooks/qemu.d/50-gpuvirt at the start and the end of each VM. \
                Without it the rules are not kept for starts by virsh, virt-manager or autostart, and vGPUs \
                are not made for them.",
        evidence: "The file is not there, while gpuvirtd is installed.",
        remedy: "Copy it from /usr/share/gpuvirt, where the package keeps another: it is a conffile, and dpkg brings none \
                back that was deleted, unless it is told --force-confmiss. Then systemctl restart libvirtd (or virtqemud), \
                which looks for hooks when it starts; running VMs go on.",
    },
    Explanation {
        name: "hook-foreign",
        cause: "Something else is in the file of gpuvirt's hook, so that libvirt runs that.",
        evidence: "/etc/libvirt/hooks/qemu.d/50-gpuvirt does not name gpuvirt.",
        remedy: "Move it to a file of its own beside it: libvirt runs all files of the folder, in the order \
                of their names. Then copy ours from /usr/share/gpuvirt, and restart libvirtd (or virtqemud).",
    },
    Explanation {
        name: "hook-not-executable",
        cause: "libvirt runs only hooks that are executable, and says nothing of others.",
        evidence: "The permissions of /etc/libvirt/hooks/qemu.d/50-gpuvirt.",
        remedy: "chmod 755 /etc/libvirt/hooks/qemu.d/50-gpuvirt.",
    },
    Explanation {
        name: "hook-program-missing",
        cause: "The hook is a wrapper that does nothing when the command gpuvirt is gone, so that VMs start \
                after the package was removed by half.",
        evidence: "/usr/bin/gpuvirt is not there, while the hook and gpuvirtd are.",
        remedy: "Install the package again. The command has to be in /usr/bin: libvirt's AppArmor profile \
                lets hooks run programs from there.",
    },
    Explanation {
        name: "hook-blocked",
        cause: "SELinux or AppArmor confines libvirt's daemon and what it runs. With SELinux a hook that may not be run is called \
                all the same, as libvirt looks at its permissions alone: each start of a VM is then refused, and a restart of \
                virtqemud ends VMs that run. Where the hook runs and may not ask gpuvirtd, VMs with GPUs do not start. That is \
                to be expected, and not certain: what a policy lets virtqemud run differs from release to release. With \
                AppArmor starts are not checked.",
        evidence: "SELinux: enforcing, a virtqemud whose process is of the type virtqemud_t (libvirtd's virtd_t may run hooks), and \
                nothing that shows the contrary: a call of the hook since gpuvirtd was started, or a VM that runs with a card of \
                gpuvirt's. AppArmor: on, and a profile of libvirt's daemon that is enforced and lets nothing below \
                /etc/libvirt/hooks be executed, neither itself nor in the file in /etc/apparmor.d/local that it includes.",
        remedy: "SELinux: start a VM with a GPU; where that works, nothing is wrong. Else ausearch -m AVC -ts boot | grep -e hook \
                -e gpuvirt shows what was denied; with that as its input, audit2allow -M gpuvirt-hook makes a module, and \
                semodule -i gpuvirt-hook.pp allows it. First the hook's execution is denied, and once that is allowed, that it \
                connects to gpuvirt's socket in /run/gpuvirt: start the VM again, and make the module anew. The boolean \
                virt_hooks_unconfined does not help: it is for other daemons' hooks. \
                AppArmor: the rules of the distribution's own profile, in /etc/apparmor.d/local, and \
                apparmor_parser -r. A profile that includes no such file has lost its end: put the rules into itself.",
    },
    Explanation {
        name: "hook-not-run",
        cause: "libvirt started a VM with GPUs while gpuvirtd watched, and no hook asked gpuvirtd. Most \
                often libvirt was started before the first hook was installed.",
        evidence: "libvirt's events of started VMs, beside the hook's calls.",
        remedy: "systemctl restart libvirtd (or virtqemud): running VMs go on. Then look for other causes: \
                permissions, those of its folder too, and AppArmor. SELinux does not do this: a hook that it \
                denies is called, and the start refused.",
    },
];
