# shellcheck shell=bash
# Stages of scripts/test: run a command, count what it reports, remember what failed and what did not run.
# A stage may end with the line "N passed, N failed, N skipped"; one that does not counts as one.

stage_logs=$(mktemp -d)
trap 'rm -rf "$stage_logs"' EXIT
stage_names=() stage_seconds=() failures=() missing=()
passed=0 failed=0 skipped=0

# A line that begins so ends what a stage printed for nothing: only what follows is counted.
void_above='=== void above'

# stage NAME CMD...: true when it passed.
stage() {
    local name=$1 log="$stage_logs/$1" start=$SECONDS status=0 counts
    shift
    echo "=== $name: $*"
    "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
    while grep -q "^$void_above" "$log"; do sed -i "1,/^$void_above/d" "$log"; done
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1 || true)
    count "$name" "$status" "$counts"
    mapfile -t -O "${#failures[@]}" failures < <(sed -n "s/^\(failed\|FAILED\) /$name: /p" "$log")
    mapfile -t -O "${#missing[@]}" missing < <(sed -n "s/^not run /$name: /p" "$log")
    stage_names+=("$name") stage_seconds+=("$((SECONDS - start))")
    echo "=== $name: $([ "$status" = 0 ] && echo ok || echo "FAILED, exit $status") after $((SECONDS - start)) s"
    return "$status"
}

# count NAME STATUS COUNTS
count() {
    local p=0 f=0 s=0
    if [ -n "$3" ]; then
        read -r p f s <<<"${3//[a-z,]/}"
    elif [ "$2" = 0 ]; then
        p=1
    fi
    if [ "$2" != 0 ] && [ "$f" = 0 ]; then
        f=1 failures+=("$1: exit $2")
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# not_run NAME REASON
not_run() {
    skipped=$((skipped + 1)) missing+=("$1: $2")
}

# Prints what it came to, and ends the script.
closing() {
    local at
    echo "=== time of each stage"
    for at in "${!stage_names[@]}"; do
        printf '%6d s  %s\n' "${stage_seconds[at]}" "${stage_names[at]}"
    done
    printf '%6d s  in all\n' "$SECONDS"
    [ "${#missing[@]}" = 0 ] || printf 'not run %s\n' "${missing[@]}"
    [ "${#failures[@]}" = 0 ] || printf 'failed %s\n' "${failures[@]}"
    echo "$passed passed, $failed failed, $skipped skipped"
    exit "$((failed > 0))"
}
