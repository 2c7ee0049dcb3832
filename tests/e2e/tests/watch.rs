//! What the daemon does when something happens, on the real kernel: what waits is carried out, what comes back is led to
//! what was asked for, and what others took on purpose is left to them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use gpuvirt_e2e::Lab;

/// A process that has a card's display node open, until [`let_go`].
fn hold(lab: &Lab, gpu: &str) {
    let script = "node=/dev/dri/by-path/pci-{gpu}-card
        setsid bash -c \"exec -a e2e-holder sleep 600 9<>$(readlink -f $node)\" >/dev/null 2>&1 </dev/null &
        for try in {1..200}; do pgrep -f '^e2e-holder' >/dev/null && exit 0; done; exit 1";
    lab.sh(&script.replace("{gpu}", gpu)).expect(0);
}

fn let_go(lab: &Lab) {
    lab.sh("pkill -f '^e2e-holder'; while pgrep -f '^e2e-holder' >/dev/null; do :; done").expect(0);
}

/// Waits until an event says so; the daemon's own, so that nothing here guesses how long it takes.
#[track_caller]
fn event(lab: &Lab, words: &str) {
    // 60 s: the daemon looks every ten seconds whether a process has let go, and the lab is slow.
    // grep ends with the first such line, and nobody waits for the other.
    lab.sh(&format!("grep -m 1 -F -e '{words}' <(timeout 60 gpuvirt events --follow 2>/dev/null)"))
        .says(words);
}

/// The word of a GPU's document.
fn word(lab: &Lab, gpu: &str, key: &str) -> String {
    lab.gpu(gpu)[key].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_waits_for_a_process_is_done_when_that_has_ended() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    hold(&lab, gpu);
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(3).says("[gpu-in-use]");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct --when idle")).expect(4).says("waits until");
    assert_eq!(
        (word(&lab, gpu, "configured"), word(&lab, gpu, "active")),
        ("direct".into(), "shared".into())
    );
    lab.assert_pristine();
    let_go(&lab);
    event(&lab, &format!("{gpu} became direct"));
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    assert_eq!(word(&lab, gpu, "pending"), "");
}

/// udev's rule may be faster than a driver that is loaded, or not: where the daemon's part is tested, udev is held meanwhile.
const UDEV_GOES_ON: &str = "udevadm control --start-exec-queue && udevadm settle --timeout=60";

#[test]
fn a_card_that_is_unplugged_and_comes_back_is_what_it_was() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("TWIN_A");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.sh(&format!("echo 1 > /sys/bus/pci/devices/{gpu}/remove")).expect(0);
    lab.gpuvirt(&format!("gpu show {gpu}")).expect(3).says("[gpu-not-found]");
    lab.gpuvirt("status").says(gpu);
    lab.sh("udevadm control --stop-exec-queue; echo 1 > /sys/bus/pci/rescan").expect(0);
    event(&lab, &format!("{gpu} became direct"));
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    lab.sh(UDEV_GOES_ON).expect(0);
    // Its twin was nobody's to touch.
    assert!(!lab.binding(lab.devices.get("TWIN_B")).contains("vfio"));
}

#[test]
fn a_card_that_somebody_takes_back_by_hand_is_shown_and_left_to_them() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let driver = lab.binding(gpu);
    let driver = driver.split('/').next().unwrap();
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    let by_hand = format!(
        "d=/sys/bus/pci/devices/{gpu}; echo > $d/driver_override; echo {gpu} > $d/driver/unbind
         echo {gpu} > /sys/bus/pci/drivers_probe"
    );
    lab.sh(&by_hand).expect(0);
    event(&lab, &format!("bind {gpu} (driver {driver})"));
    lab.gpuvirt("status").says(gpu).says("direct");
    assert_ne!(word(&lab, gpu, "pending"), "");
    // Another card's change goes through the daemon's whole round meanwhile, and this one is still theirs.
    let other = lab.devices.get("TWIN_A");
    lab.gpuvirt(&format!("gpu set {other} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {other} --type shared")).expect(0);
    assert!(lab.binding(gpu).starts_with(driver), "{}", lab.binding(gpu));
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
}

#[test]
fn vgpus_come_back_with_their_driver_and_what_others_remove_is_gone() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    let uuid = |n: u32| format!("00000000-0000-4000-8000-00000000000{n}");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    for n in [1, 2] {
        lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {}", uuid(n))).expect(0);
    }
    let before = lab.picture();
    // The driver goes and its vGPUs with it; it is said what the card is without it.
    lab.sh("rmmod gpuvirt_mdev").expect(0);
    event(&lab, &format!("unbind {gpu}"));
    assert_eq!(lab.vgpus().len(), 0);
    assert_ne!(word(&lab, gpu, "pending"), "");
    lab.sh("insmod /lab/modules/gpuvirt_mdev.ko").expect(0);
    event(&lab, "2 vGPUs");
    assert_eq!(lab.picture(), before);
    // Somebody removes one by hand: it is not made again behind their back, and removing it is done.
    lab.sh(&format!("echo 1 > /sys/bus/mdev/devices/{}/remove", uuid(1))).expect(0);
    event(&lab, &format!("remove {}", uuid(1)));
    let left = lab.vgpus();
    assert!(left.len() == 1 && left[0]["uuid"] == uuid(2).as_str(), "{left:?}");
    lab.gpuvirt(&format!("vgpu remove {}", uuid(1))).expect(0).says("gone already");
    lab.gpuvirt(&format!("vgpu remove {}", uuid(2))).expect(0);
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
    lab.assert_pristine();
}

#[test]
fn vgpus_come_back_when_the_driver_is_later_than_its_card() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("MDEV_GPU");
    let uuid = |n: u32| format!("00000000-0000-4000-8000-00000000000{n}");
    lab.gpuvirt(&format!("gpu set {gpu} --type shared-direct")).expect(0);
    for n in [1, 2] {
        lab.gpuvirt(&format!("vgpu create --gpu {gpu} --profile lab-1q --uuid {}", uuid(n))).expect(0);
    }
    // Longer than the daemon waits for more events: it has led the card as far as that goes without a driver.
    lab.sh(&format!(
        "rmmod gpuvirt_mdev && echo 1 > /sys/bus/pci/devices/{gpu}/remove && echo 1 > /sys/bus/pci/rescan && sleep 2"
    ))
    .expect(0);
    assert_eq!((lab.vgpus().len(), lab.binding(gpu).starts_with("gpuvirt_mdev")), (0, false));
    lab.gpuvirt("status").says(gpu);
    lab.sh("insmod /lab/modules/gpuvirt_mdev.ko").expect(0);
    event(&lab, "2 vGPUs");
    let mut there: Vec<String> =
        lab.vgpus().iter().map(|vgpu| vgpu["uuid"].as_str().unwrap().to_owned()).collect();
    there.sort();
    assert_eq!(there, [uuid(1), uuid(2)]);
    for n in [1, 2] {
        lab.gpuvirt(&format!("vgpu remove {}", uuid(n))).expect(0);
    }
    lab.gpuvirt(&format!("gpu unset {gpu}")).expect(0);
}

/// `udevadm trigger` asks udev's rules to look again, as package scripts and admins do: nothing came.
#[test]
fn a_card_that_was_taken_back_by_hand_is_left_to_them_when_udev_is_triggered() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("PLAIN_GPU");
    let driver = lab.binding(gpu);
    let driver = driver.split('/').next().unwrap();
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.sh(&format!(
        "d=/sys/bus/pci/devices/{gpu}; echo > $d/driver_override; echo {gpu} > $d/driver/unbind
         echo {gpu} > /sys/bus/pci/drivers_probe"
    ))
    .expect(0);
    event(&lab, &format!("bind {gpu} (driver {driver})"));
    lab.sh("udevadm trigger --action=add --subsystem-match=pci && udevadm settle --timeout=60").expect(0);
    event(&lab, &format!("add {gpu}"));
    // Another card comes into force behind it: the daemon has gone through its whole round.
    let other = lab.devices.get("TWIN_A");
    lab.gpuvirt(&format!("gpu set {other} --type direct")).expect(0);
    lab.sh(&format!("echo 1 > /sys/bus/pci/devices/{other}/remove; udevadm control --stop-exec-queue"))
        .expect(0);
    lab.sh("echo 1 > /sys/bus/pci/rescan").expect(0);
    event(&lab, &format!("{other} became direct"));
    lab.sh(UDEV_GOES_ON).expect(0);
    assert!(lab.binding(gpu).starts_with(driver), "{}", lab.binding(gpu));
    lab.gpuvirt(&format!("gpu set {other} --type shared")).expect(0);
    lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
}

#[test]
fn events_that_came_faster_than_they_were_read_lead_to_a_look_at_everything() {
    let lab = Lab::fresh();
    let gpu = lab.devices.get("TWIN_A");
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    // The daemon is held while its card goes and comes back behind more events than the kernel keeps for it.
    lab.sh(&format!(
        "pid=$(systemctl show -P MainPID gpuvirtd); kill -STOP $pid; trap 'kill -CONT $pid' EXIT
         udevadm control --stop-exec-queue
         for n in {{1..3000}}; do echo change >/sys/class/mem/null/uevent; done
         echo 1 >/sys/bus/pci/devices/{gpu}/remove; echo 1 >/sys/bus/pci/rescan
         udevadm control --start-exec-queue --timeout=300"
    ))
    .expect(0);
    event(&lab, &format!("{gpu} became direct"));
    assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
    // The kernel did say ENOBUFS: the test tests what it says.
    lab.sh("journalctl -b -o cat _PID=$(systemctl show -P MainPID gpuvirtd)").says("events came too fast");
    assert!(!lab.binding(lab.devices.get("TWIN_B")).contains("vfio"), "a card of nobody's is left alone");
}

/// A round of the daemon's own: a card of ours goes and comes back, and is led to its type.
fn round(lab: &Lab, gpu: &str) {
    let replugged = format!("echo 1 >/sys/bus/pci/devices/{gpu}/remove; echo 1 >/sys/bus/pci/rescan");
    lab.sh(&format!("udevadm control --stop-exec-queue; {replugged}")).expect(0);
    event(lab, &format!("{gpu} became direct"));
    lab.sh(UDEV_GOES_ON).expect(0);
}

#[test]
fn a_libvirt_that_was_stopped_is_not_woken_and_one_that_comes_back_is_heard_again() {
    let lab = Lab::fresh();
    let (gpu, mdev) = (lab.devices.get("TWIN_A"), lab.devices.get("MDEV_GPU"));
    lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    let sleeper = lab.guest("sleeper", "");
    lab.gpuvirt("vm add sleeper --profile lab-1q").expect(0);
    // Its socket stays, as the admin's `systemctl stop` leaves it: whoever connects starts it. It ends while the daemon looks at
    // what the start has changed.
    lab.sh("virsh -q start --paused sleeper && sleep 0.4 && systemctl stop libvirtd.service &&
         systemctl is-active libvirtd.socket")
        .expect(0);
    let sleeps = || drop(lab.sh("systemctl is-active libvirtd.service").expect(3).says("inactive"));
    round(&lab, gpu);
    sleeps();
    // Nor by a daemon that starts and finds what it made for a VM, nor by who reads numbers all day.
    lab.sh("systemctl restart gpuvirtd").expect(0);
    round(&lab, gpu);
    lab.metrics().says("gpuvirt_libvirt_answers 0");
    sleeps();
    assert_eq!(lab.vgpus().len(), 1, "what the VM runs with is left to it");
    lab.sh("systemctl start libvirtd.service").expect(0);
    lab.gpuvirt("vm list").expect(0).says("sleeper");
    lab.metrics().says("gpuvirt_libvirt_answers 1");
    let guest = lab.guest("heard-vm", "");
    lab.gpuvirt("vm list").expect(0).says("heard-vm");
    event(&lab, "VM heard-vm was defined");
    drop(guest);
    sleeper.destroy();
}

#[test]
fn what_runs_is_listed_by_a_cordon_and_by_maintenance_and_nothing_more_starts_there() {
    let lab = Lab::fresh();
    let mdev = lab.devices.get("MDEV_GPU");
    lab.gpuvirt(&format!("gpu set {mdev} --type shared-direct")).expect(0);
    for name in ["early", "late"] {
        lab.guest(name, "");
        lab.gpuvirt(&format!("vm add {name} --profile lab-1q")).expect(0);
    }
    let start = |name: &str| lab.sh(&format!("virsh -q start --paused {name}"));
    start("early").expect(0);
    lab.gpuvirt(&format!("gpu cordon {mdev}"))
        .expect(0)
        .says(&format!("still running: VM early with {mdev}"));
    start("late").expect(1).says("cordoned");
    let again = lab.gpuvirt(&format!("gpu cordon {mdev} -o json")).expect(0).json();
    assert_eq!(again["stillRunning"], serde_json::json!([{"vm": "early", "gpu": mdev}]), "{again}");
    lab.gpuvirt(&format!("gpu uncordon {mdev}")).expect(0);
    lab.gpuvirt("host maintenance on").expect(0).says("VM early with");
    start("late").expect(1).says("maintenance");
    lab.sh("virsh -q destroy early").expect(0);
    lab.gpuvirt("host maintenance on").expect(0).says("no VM runs there");
    lab.gpuvirt("host maintenance off").expect(0);
    start("late").expect(0);
    lab.sh("virsh -q destroy late").expect(0);
}

/// `scripts/test --full`.
mod full {
    use super::*;

    /// Takes functions from the bus and looks for them anew; ends when udev has dealt with what came.
    fn replug(lab: &Lab, functions: &[&str]) {
        let gone: String =
            functions.iter().map(|f| format!("echo 1 >/sys/bus/pci/devices/{f}/remove; ")).collect();
        lab.sh(&format!("{gone} echo 1 >/sys/bus/pci/rescan; udevadm settle --timeout=60")).expect(0);
    }

    /// Without a daemon: udev alone sees to it.
    #[test]
    fn a_passthrough_card_that_is_plugged_in_is_claimed_before_udev_loads_its_driver() {
        let lab = Lab::fresh();
        let rule = "/usr/lib/udev/rules.d/70-gpuvirt.rules";
        lab.sh(&format!("udevadm verify {rule}")).expect(0);
        // A stand-in whose driver can be unloaded: the console has the displays' own.
        let gpu = lab.sriov_gpu();
        let gpu = gpu.as_str();
        let (twin, disk) = (lab.devices.get("TWIN_B"), lab.devices.get("SRIOV_NVME"));
        let [of_gpu, of_twin, of_disk] = [gpu, twin, disk].map(|function| lab.binding(function));
        lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
        lab.sh("systemctl stop gpuvirtd && rmmod igb").expect(0);
        // What an old list says of an address where a disk is now.
        let listed = format!("sed -n 's/^{gpu} /{disk} /p' /etc/gpuvirt/claims");
        lab.sh(&format!("line=$({listed}); test -n \"$line\" && echo \"$line\" >>/etc/gpuvirt/claims"))
            .expect(0);
        replug(&lab, &[gpu, twin, disk]);
        assert_eq!(lab.binding(gpu), "vfio-pci/vfio-pci");
        lab.sh("lsmod | grep -w igb").expect(0);
        assert_eq!(
            [lab.binding(twin), lab.binding(disk)],
            [of_twin, of_disk],
            "not listed, and no such card"
        );
        lab.sh("systemctl start gpuvirtd").expect(0);
        assert_eq!(lab.gpu(gpu)["active"], "direct");
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
        // What is the host's again is left to it, with the daemon and without; and so is everything where the package is gone.
        replug(&lab, &[gpu]);
        assert_eq!(lab.binding(gpu), of_gpu);
        lab.gpuvirt(&format!("gpu set {gpu} --type direct")).expect(0);
        lab.sh(&format!(
            "systemctl stop gpuvirtd && rmmod igb && mv {rule} /tmp/e2e-rule && udevadm control --reload"
        ))
        .expect(0);
        replug(&lab, &[gpu]);
        assert_eq!(
            lab.binding(gpu),
            of_gpu,
            "without the rule the host's driver has it: the rule is what the test tests"
        );
        lab.sh(&format!("mv /tmp/e2e-rule {rule} && udevadm control --reload && systemctl start gpuvirtd"))
            .expect(0);
        assert_eq!(lab.gpu(gpu)["active"], "direct", "it is led there by the daemon at the latest");
        lab.gpuvirt(&format!("gpu set {gpu} --type shared")).expect(0);
    }
}
