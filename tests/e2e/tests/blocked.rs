//! A device that somebody opens behind our checks: the kernel keeps our write until it is let go, and nothing else waits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

/// Two daemons and a holder each: `scripts/test --full`.
mod full {
    use gpuvirt_e2e::Lab;

    /// A start with recovery on a busy lab.
    const READY_MS: u64 = 20_000;

    /// Opens a device through its group, as QEMU does, and stays. Arguments: group, device.
    const HOLDER: &str = r#"
import fcntl, os, struct, sys, time
container = os.open("/dev/vfio/vfio", os.O_RDWR)
group = os.open("/dev/vfio/" + sys.argv[1], os.O_RDWR)
fcntl.ioctl(group, 0x3b68, struct.pack("i", container))
fcntl.ioctl(container, 0x3b66, 1)
device = fcntl.ioctl(group, 0x3b6a, bytearray(sys.argv[2].encode() + b"\0"))
open("/tmp/e2e-held", "w").write(str(device))
time.sleep(900)
"#;

    struct Blocked<'a> {
        gpu: &'a str,
        /// What is held, by its name and its folder in /sys.
        device: (&'a str, &'a str),
        /// The call of the kernel that our write makes: the holder comes before it, and behind the check.
        function: &'a str,
        command: &'a str,
        /// What is answered meanwhile.
        refused: &'a str,
    }

    fn holder_behind_the_check(lab: &Lab, blocked: &Blocked<'_>) {
        let Blocked { gpu, device: (name, folder), function, command, refused } = blocked;
        let before = lab.picture();
        lab.sh(&format!(
            "modprobe -a vfio-pci vfio_iommu_type1 mdev; cat >/tmp/e2e-holder.py <<'PY'\n{HOLDER}\nPY"
        ))
        .expect(0);
        lab.sh("sed -i 's/^#short-deadline //' /etc/gpuvirt/gpuvirtd.toml && systemctl restart gpuvirtd && dmesg -C")
            .expect(0);
        // Our write is on its way when the device is opened.
        let began = lab.sh(&format!(
            "fault=/sys/module/gpuvirt_fault/parameters
             insmod /lab/modules/gpuvirt_fault.ko function={function} errno=0 hold=Y || exit 90
             {command} >/tmp/e2e-said 2>&1 </dev/null & client=$!
             for try in {{1..300}}; do [ $(cat $fault/struck) = Y ] && break; read -rt 0.1 <> <(:); done
             [ $(cat $fault/struck) = Y ] || exit 91
             group=$(basename $(readlink {folder}/iommu_group))
             setsid bash -c \"exec -a e2e-holder python3 /tmp/e2e-holder.py $group {name}\" >/tmp/e2e-why 2>&1 </dev/null &
             for try in {{1..300}}; do [ -s /tmp/e2e-held ] && break; read -rt 0.1 <> <(:); done
             [ -s /tmp/e2e-held ] || {{ cat /tmp/e2e-why; exit 92; }}
             echo N >$fault/hold; rmmod gpuvirt_fault
             wait $client; code=$?; cat /tmp/e2e-said; exit $code"
        ));
        // It is told at the deadline, and whoever keeps it is named. In the kernel's own words: it waits until that is released.
        began.expect(1).says("still waits").says("hands-off");
        lab.gpuvirt("status").expect(0).says("still waits in the kernel").says("python3");
        lab.sh("grep -qs vfio_unregister_group_dev /proc/[0-9]*/wchan").expect(0);
        // Everything else goes on, and nobody gets at this one.
        let other = lab.devices.get("TWIN_A");
        lab.gpuvirt(&format!("gpu set {other} --type direct")).expect(0);
        lab.gpuvirt(&format!("gpu set {other} --type shared")).expect(0);
        lab.gpuvirt("gpu list").expect(0).says(gpu);
        lab.gpuvirt(refused).expect(3).says("[hands-off]");
        // Killed now, the next daemon is there at once and says the same.
        let killed = lab.sh(
            "pid=$(systemctl show -P MainPID gpuvirtd); began=$(date +%s%3N); kill -9 $pid
             until new=$(systemctl show -P MainPID gpuvirtd); [ $new != $pid ] && [ $new != 0 ] && systemctl -q is-active gpuvirtd; do
                 [ $(date +%s%3N) -lt $((began + 60000)) ] || exit 92; read -rt 0.1 <> <(:); done
             echo $(($(date +%s%3N) - began))",
        );
        let ready: u64 = killed.expect(0).text().parse().unwrap();
        assert!(ready < READY_MS, "ready after {ready} ms");
        lab.gpuvirt("status").expect(0).says("hands-off").says("still waits in the kernel").says("python3");
        lab.gpuvirt(refused).expect(3).says("[hands-off]");
        // The holder ends: nobody does anything.
        lab.sh("pkill -f '^e2e-holder'; while pgrep -f '^e2e-holder' >/dev/null; do :; done").expect(0);
        lab.until_settled();
        lab.assert_settled(command);
        lab.assert_tells_settled(gpu);
        assert_eq!(lab.picture(), before, "{command} is taken back");
        lab.sh(command).expect(0);
        println!("{command}: ready after {ready} ms");
    }

    #[test]
    fn a_passthrough_card_that_is_opened_on_its_way_back() {
        let lab = Lab::fresh();
        let gpu = lab.devices.get("PLAIN_GPU");
        lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
        let folder = format!("/sys/bus/pci/devices/{gpu}");
        holder_behind_the_check(
            &lab,
            &Blocked {
                gpu,
                device: (gpu, &folder),
                function: "unbind_store",
                command: &format!("gpuvirt gpu set {gpu} --type shared"),
                refused: &format!("gpu set {gpu} --type direct"),
            },
        );
        lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
        lab.assert_pristine();
    }

    #[test]
    fn a_vgpu_that_is_opened_while_it_is_removed() {
        let lab = Lab::fresh();
        let gpu = lab.devices.get("MDEV_GPU");
        let uuid = "00000000-0000-4000-8000-00000000000e";
        lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
        lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {uuid}")).expect(0);
        let folder = format!("/sys/bus/mdev/devices/{uuid}");
        holder_behind_the_check(
            &lab,
            &Blocked {
                gpu,
                device: (uuid, &folder),
                function: "mdev_device_remove",
                command: &format!("gpuvirt vgpu remove {uuid}"),
                refused: &format!("vgpu create --gpu {gpu} --profile lab-1q"),
            },
        );
        lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
        lab.assert_pristine();
    }
}
