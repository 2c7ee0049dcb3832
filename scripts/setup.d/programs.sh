# shellcheck shell=bash
# Sourced: builds the programs as packages have them.
# The command is linked with no shared library. libvirt runs it at each VM's start, and most of a short verb is its own start:
# finding and relocating libraries took a third of that. gpuvirtd loads libvirt's library, and so can't be.

# build_programs PROFILE
build_programs() {
    cargo build --profile "$1" --locked -p gpuvirtd &&
        cargo rustc --profile "$1" --locked -p gpuvirt --bin gpuvirt -- -C target-feature=+crt-static
}
