//! What the lab's host does at each boot besides what is installed, for tests that boot it again: shell scripts for [`Lab::sh`].
//!
//! [`Lab::sh`]: crate::Lab::sh

/// Loads the test module for mediated devices at every boot, as a distribution's modules are, before gpuvirtd looks; and KVM,
/// which udev loads on this slow host only after libvirt's daemon has looked for it.
pub const MODULE_AT_BOOT: &str = r"
cat >/etc/systemd/system/e2e-module.service <<UNIT
[Unit]
Before=gpuvirtd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '{ modprobe kvm_amd || modprobe kvm_intel; } 2>/dev/null; modprobe -a vfio mdev && insmod /lab/modules/gpuvirt_mdev.ko'
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload && systemctl -q enable e2e-module.service && sync";

/// The way into the lab's host, which its own initramfs makes and a distribution's does not.
pub const NETWORK_AT_BOOT: &str = r"
cat >/etc/systemd/system/e2e-network.service <<UNIT
[Unit]
Before=ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'modprobe virtio_net && udevadm settle && ip link set eth0 up && ip address replace 10.0.2.15/24 dev eth0'
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload && systemctl -q enable e2e-network.service && sync";

/// Takes both away again.
pub const NOTHING_AT_BOOT: &str = "systemctl -q disable e2e-module.service e2e-network.service 2>/dev/null
rm -f /etc/systemd/system/e2e-*.service; systemctl daemon-reload; true";
