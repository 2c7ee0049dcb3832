//! Starts of VMs whose vGPU is made for them, and what is left of one.

use crate::{Lab, Output};

impl Lab {
    /// Starts a domain without running it, as any client of libvirt's does: all hooks, no guest.
    #[track_caller]
    pub fn virsh_start(&self, name: &str) -> Output {
        self.sh(&format!("virsh -q start --paused {name}"))
    }

    /// Powers it off at once.
    #[track_caller]
    pub fn virsh_destroy(&self, name: &str) {
        self.sh(&format!("virsh -q destroy {name}")).expect(0);
    }

    /// The mediated devices that the kernel has.
    #[track_caller]
    pub fn mediated_devices(&self) -> Vec<String> {
        self.sh("ls /sys/bus/mdev/devices").expect(0).stdout.lines().map(str::to_owned).collect()
    }

    /// Waits until a command of the shell's succeeds, no longer than a minute; then shows what is the matter.
    #[track_caller]
    pub fn until(&self, condition: &str) {
        self.sh(&format!(
            "end=$((SECONDS + 60)); until {condition}; do [ $SECONDS -lt $end ] || break; read -rt 0.1 <> <(:) || :; done
             {condition} || {{ gpuvirt status; gpuvirt vgpu list; journalctl -u gpuvirtd -n 40; exit 1; }}"
        ))
        .expect(0);
    }

    /// Waits, no longer than a minute, until no mediated device is left.
    #[track_caller]
    pub fn until_no_mediated_device(&self) {
        self.until("[ -z \"$(ls /sys/bus/mdev/devices)\" ]");
    }
}
