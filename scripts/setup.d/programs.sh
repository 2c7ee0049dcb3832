# shellcheck shell=bash
# Sourced: builds the programs as packages have them.
# The command is linked with no shared library. libvirt runs it at each VM's start, and most of a short verb is its own start:
# finding and relocating libraries took a third of that. gpuvirtd loads libvirt's library, and so can't be.
# What common runs call is put side by side (scripts/order): else nearly all of a program is resident for the tenth of it that a
# run needs.
# The command's relocations are packed where the C library that goes into it can read that, as glibc can since 2.36: they are read at
# each start, and were 34 pages of its memory.

# build_programs PROFILE, in the root of the source
build_programs() {
    # shellcheck disable=SC2046 # two words or none
    cargo build --profile "$1" --locked -p gpuvirtd --bin gpuvirt-writer &&
        build_ordered "$1" gpuvirtd &&
        build_ordered "$1" gpuvirt -C target-feature=+crt-static $(packed_relocations)
}

# packed_relocations: the option for that, or nothing. A linker that does not know it says so and goes on.
packed_relocations() {
    local version
    version=$(getconf GNU_LIBC_VERSION) || return 0
    [ "$(printf '%s\n' "${version#glibc }" 2.36 | sort -V | head -n 1)" != 2.36 ] || echo -C link-arg=-Wl,-z,pack-relative-relocs
}

# build_ordered PROFILE PROGRAM [OPTION...]
build_ordered() {
    local order=$PWD/packaging/link/$2.ld sum
    # cargo links anew when an option is another one, not when a file is that an option names.
    sum=$(cksum <"$order")
    cargo rustc --profile "$1" --locked -p "$2" --bin "$2" -- "${@:3}" -C "link-arg=-Wl,-T,$order" --cfg "order=\"${sum// /-}\""
}
