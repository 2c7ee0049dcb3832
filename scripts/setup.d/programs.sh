# shellcheck shell=bash
# Sourced: builds the programs as packages have them.
# The command is linked with no shared library. libvirt runs it at each VM's start, and most of a short verb is its own start:
# finding and relocating libraries took a third of that. gpuvirtd loads libvirt's library, and so can't be.
# What common runs call is put side by side (scripts/order): else nearly all of a program is resident for the tenth of it that a
# run needs.

# build_programs PROFILE, in the root of the source
build_programs() {
    cargo build --profile "$1" --locked -p gpuvirtd --bin gpuvirt-writer &&
        build_ordered "$1" gpuvirtd &&
        build_ordered "$1" gpuvirt -C target-feature=+crt-static
}

# build_ordered PROFILE PROGRAM [OPTION...]
build_ordered() {
    local order=$PWD/packaging/link/$2.ld
    cargo rustc --profile "$1" --locked -p "$2" --bin "$2" -- "${@:3}" -C "link-arg=-Wl,-T,$order"
}
