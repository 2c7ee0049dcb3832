# shellcheck shell=bash
# The lab's stages of scripts/test: the real kernel judges the fake one, then real libvirt and nested guests.

# lab_stages NEXTEST_PROFILE
lab_stages() {
    local reason="the lab is not ready"
    if lab_ready; then
        stage conformance scripts/lab exec -- /lab/e2e/conformance || lab_evidence
        stage libvirt lab_libvirt || lab_evidence
        stage end-to-end lab_end_to_end "$1" || lab_evidence
    else
        lab_evidence
        not_run conformance "$reason"
        not_run libvirt "$reason"
        not_run end-to-end "$reason"
    fi
    stage lab-down scripts/lab down || true
}

lab_ready() {
    stage lab-build scripts/lab build &&
        stage lab-up scripts/lab up --fresh &&
        stage lab-deploy tests/lab/deploy.sh --tests
}

# The suite, and what did not pass once more from a fresh lab if the lab VM's own kernel panicked in it: nested virtualisation
# under emulation does that once in a long while, and it says nothing about what is tested.
lab_end_to_end() {
    local status=0
    cargo xtask test -p gpuvirt-e2e --profile "$1" || status=$?
    if [ "$status" = 0 ] || ! lab_panicked; then return "$status"; fi
    scripts/lab console | tail -n 60 || true
    echo "=== void above: the lab VM's kernel panicked, and what did not pass runs again from a fresh lab"
    scripts/lab up --fresh && tests/lab/deploy.sh --tests && cargo xtask test --again -p gpuvirt-e2e --profile "$1"
}

lab_panicked() {
    scripts/lab status 2>&1 | grep -q 'its kernel panicked'
}

# Tests that want a libvirtd which they may stop; on any other machine they are named as not run.
lab_libvirt() {
    local binary status=0 said
    binary=$(cargo test --locked -p gpuvirt-libvirt --test system --no-run --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    scripts/lab exec -- mkdir -p /lab/libvirt
    scripts/lab push tests/golden/domain /lab/libvirt
    scripts/lab push "$binary" /lab/libvirt
    local uri='qemu:///system?socket=/run/libvirt/libvirt-sock' pidfile=/run/libvirtd.pid
    said=$(scripts/lab exec -- env "GPUVIRT_TEST_LIBVIRT=$uri" "GPUVIRT_TEST_LIBVIRT_PIDFILE=$pidfile" \
        GPUVIRT_TEST_DOMAINS=/lab/libvirt/domain "/lab/libvirt/${binary##*/}" --ignored) || status=$?
    echo "$said"
    sed -n 's/^test \(.*\) \.\.\. FAILED$/failed \1/p' <<<"$said"
    sed -n 's/^test result: .*\. \([0-9]*\) passed; \([0-9]*\) failed; .*/\1 passed, \2 failed, 0 skipped/p' <<<"$said"
    return "$status"
}

# What a reader of a failed run wants to see first.
lab_evidence() {
    scripts/lab status || return 0
    echo "=== the lab's console, last lines"
    scripts/lab console | tail -n 40 || true
    echo "=== the daemon's log"
    scripts/lab exec -- journalctl --no-pager --lines 80 --unit gpuvirtd || true
}
