#!/bin/bash
# Everything `up` and `module` need, from the cache or anew: packages, Debian, image, builder. Prints nothing when all is there.
# One build at a time; a second one waits and finds it done. `--refresh` takes new package versions from the mirror.
# `--image` prints the image's path (for the other pieces), `--builder` the builder's.
set -euo pipefail
# shellcheck source=tests/lab/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tests/lab/running.sh
. "$LAB_SRC/running.sh"

mkdir -p "$LAB_CACHE"
exec 9>"$LAB_CACHE/build.lock"
flock -n 9 || { say 'another build is running; waiting for it' && flock 9; }
"$LAB_SRC/packages.sh"

# What an interrupted build left, a first boot among it; only a build makes these, and we are the only one.
for run in "$LAB_CACHE"/tmp.*.image/run; do
  if machine_alive "$run"; then kill -KILL "$(machine_pid "$run")"; fi
done
rm -rf --one-file-system "$LAB_CACHE"/tmp.*
case ${1:-} in
  '' | --image | --builder) ;;
  --refresh)
    rm -rf --one-file-system "$LAB_CACHE"/rootfs-* "$LAB_CACHE"/builder-* "$LAB_CACHE"/image-*
    ;;
  *) die "unknown argument '$1'" ;;
esac

start=$EPOCHREALTIME
"$LAB_SRC/emulator.sh" >/dev/null
tar=$("$LAB_SRC/rootfs.sh")
# side by side: the image's first boot and the builder's packages each keep one processor busy
"$LAB_SRC/builder.sh" "$(cat "${tar%.tar}.kernel")" >"$LAB_CACHE/tmp.$$.builder-path" &
builder_job=$!
image=$("$LAB_SRC/image.sh" "$tar") || { wait "$builder_job" || true; die 'the lab image was not built'; }
wait "$builder_job" || die 'the module builder was not built'
builder=$(cat "$LAB_CACHE/tmp.$$.builder-path")
rm -f "$LAB_CACHE/tmp.$$.builder-path"
# Artefacts of recipes that nobody has used for two weeks.
touch "$tar" "$image" "$builder" "$(dirname "$("$LAB_SRC/emulator.sh")")"
find "$LAB_CACHE" -maxdepth 1 \( -name 'rootfs-*' -o -name 'image-*' -o -name 'builder-*' -o -name 'ko-*' -o -name 'qemu-*' -o -name 'accel-*' \
  -o -name 'modular-*' -o -name 'extra-*' \) \
  -mtime +14 -exec rm -rf --one-file-system {} +

case ${1:-} in
  --image) echo "$image" ;;
  --builder) echo "$builder" ;;
  *) say "ready after $(seconds_since "$start") s: $(basename "$image"), $(basename "$builder")" ;;
esac
