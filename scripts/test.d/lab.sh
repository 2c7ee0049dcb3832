# shellcheck shell=bash
# The lab's stages of scripts/test: the real kernel judges the fake one, then real libvirt and nested guests.

# lab_stages NEXTEST_PROFILE
lab_stages() {
    local reason="the lab is not up"
    if lab_ready; then
        stage conformance scripts/lab exec -- gpuvirt-conformance --testbed /lab/devices.env || true
        stage end-to-end cargo xtask test -p gpuvirt-e2e --profile "$1" || lab_evidence
    else
        not_run conformance "$reason"
        not_run end-to-end "$reason"
    fi
    stage lab-down scripts/lab down || true
}

lab_ready() {
    stage binaries cargo build --release --locked -p gpuvirt -p gpuvirtd -p gpuvirt-conformance &&
        stage lab-build scripts/lab build &&
        stage lab-module scripts/lab module tests/kmod/gpuvirt_mdev &&
        stage lab-up scripts/lab up --fresh &&
        stage lab-fill lab_fill
}

lab_fill() {
    scripts/lab push target/release/gpuvirt target/release/gpuvirtd target/release/gpuvirt-conformance /usr/bin &&
        scripts/lab push tests/lab/devices.env /lab &&
        scripts/lab exec -- modprobe -a vfio vfio_iommu_type1 vfio-pci mdev &&
        scripts/lab exec -- insmod /lab/modules/gpuvirt_mdev.ko
}

# What a reader of a failed run wants to see first.
lab_evidence() {
    echo "=== the lab's console, last lines"
    scripts/lab console | tail -n 40 || true
    echo "=== the daemon's log"
    scripts/lab exec -- journalctl --no-pager --lines 80 --unit gpuvirtd || true
}
