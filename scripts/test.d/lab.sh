# shellcheck shell=bash
# The lab's stages of scripts/test: the real kernel judges the fake one, then real libvirt and nested guests.

# A lab keeps two processors busy; two take half the time on four.
labs_wanted=${GPUVIRT_LABS:-$(($(nproc) >= 4 ? 2 : 1))}

# lab_stages NEXTEST_PROFILE
lab_stages() {
    local reason="the lab is not ready"
    if lab_ready; then
        stage conformance steady scripts/lab exec -- /lab/e2e/conformance || lab_evidence
        stage libvirt steady lab_libvirt || lab_evidence
        stage end-to-end steady lab_end_to_end "$1" || lab_evidence
        each_lab started_again
    else
        lab_evidence
        not_run conformance "$reason"
        not_run libvirt "$reason"
        not_run end-to-end "$reason"
    fi
    stage lab-down each_lab scripts/lab down || true
}

lab_ready() {
    stage lab-build scripts/lab build &&
        stage lab-up labs_up &&
        stage lab-deploy each_lab tests/lab/deploy.sh --tests
}

# each_lab CMD...: for one lab after the other; the tests know the second by the first one's name with -2 behind it.
each_lab() {
    local number first=$GPUVIRT_LAB_NAME
    for number in $(seq "$labs_wanted"); do
        GPUVIRT_LAB_NAME=$(lab_name "$first" "$number") "$@" || return
    done
}

# lab_name FIRST NUMBER
lab_name() {
    if [ "$2" = 1 ]; then echo "$1"; else echo "$1-$2"; fi
}

labs_up() {
    local number pids=() pid status=0
    for number in $(seq "$labs_wanted"); do
        GPUVIRT_LAB_NAME=$(lab_name "$GPUVIRT_LAB_NAME" "$number") scripts/lab up --fresh &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
    return "$status"
}

# steady CMD...: again in fresh labs when it ends with 70, which is what commands on a lab say when the lab VM itself went away.
# Nested virtualisation under emulation does that once in a long while, and it says nothing about what is tested.
steady() {
    local status=0 times
    "$@" || status=$?
    for times in 1 2; do
        [ "$status" = 70 ] || return "$status"
        # shellcheck disable=SC2154 # of stages.sh
        echo "$void_above: a lab VM's kernel panicked, and what did not pass runs again in fresh labs ($times)"
        status=0
        labs_up && each_lab tests/lab/deploy.sh --tests || return
        again=--again "$@" || status=$?
    done
    return "$status"
}

# lab_end_to_end NEXTEST_PROFILE: the suite; the second time what did not pass the first time.
lab_end_to_end() {
    local status=0 report=target/nextest/$1/junit.xml
    NEXTEST_TEST_THREADS=$labs_wanted cargo xtask test ${again:+"$again"} -p gpuvirt-e2e --profile "$1" || status=$?
    if [ "$status" != 0 ] && grep -qs 'the lab VM went away' "$report"; then status=70; fi
    return "$status"
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

# Guests that a test that passed had to start again: the emulation's fault, and rare, or it is ours.
started_again() {
    echo "=== nested guests of lab $GPUVIRT_LAB_NAME started again, since its last fresh start:"
    scripts/lab exec -- sh -c 'cat /var/log/guests-started-again 2>/dev/null || echo none' || true
}

# What a reader of a failed run wants to see first.
lab_evidence() {
    each_lab lab_last_words
}

lab_last_words() {
    scripts/lab status || return 0
    echo "=== the console of lab $GPUVIRT_LAB_NAME, last lines"
    scripts/lab console | tail -n 60 || true
    echo "=== the daemon's log"
    scripts/lab exec -- journalctl --no-pager --lines 80 --unit gpuvirtd || true
}
