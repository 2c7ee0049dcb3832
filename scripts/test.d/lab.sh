# shellcheck shell=bash
# The lab's stages of scripts/test: the real kernel judges the fake one, then real libvirt and nested guests.

# lab_stages NEXTEST_PROFILE
lab_stages() {
    local reason="the lab is not ready"
    if lab_ready; then
        stage conformance scripts/lab exec -- gpuvirt-conformance --testbed /lab/devices.env || lab_evidence
        stage end-to-end cargo xtask test -p gpuvirt-e2e --profile "$1" || lab_evidence
    else
        lab_evidence
        not_run conformance "$reason"
        not_run end-to-end "$reason"
    fi
    stage lab-down scripts/lab down || true
}

lab_ready() {
    stage lab-build scripts/lab build &&
        stage lab-up scripts/lab up --fresh &&
        stage lab-deploy tests/lab/deploy.sh --tests
}

# What a reader of a failed run wants to see first.
lab_evidence() {
    scripts/lab status || return 0
    echo "=== the lab's console, last lines"
    scripts/lab console | tail -n 40 || true
    echo "=== the daemon's log"
    scripts/lab exec -- journalctl --no-pager --lines 80 --unit gpuvirtd || true
}
