# shellcheck shell=bash
# Sourced by scripts/setup: which Rust is here, and which Debian packages bring one that is new enough.
# Installs nothing.

# oldest_rust CARGO_TOML: the N of the oldest Rust 1.N that builds this tree.
oldest_rust() { sed -n 's/^rust-version = "1\.\([0-9]*\)"$/\1/p' "$1"; }

# rust_here: the N of Rust 1.N, 0 without a compiler or without cargo.
rust_here() {
    local minor=0
    if cargo --version >/dev/null 2>&1; then
        minor=$(rustc --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p' || true)
    fi
    echo "${minor:-0}"
}

# apt_offers PACKAGE: the N of its candidate 1.N, 0 when apt has none.
apt_offers() {
    local minor
    minor=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: 1\.\([0-9]*\)[.~+].*/\1/p' || true)
    echo "${minor:-0}"
}

# rust_packages OLDEST: the packages of the newest Rust in apt, a line each; none when it is older than 1.OLDEST.
# Debian updates rustc-web within a stable release, for its browsers, and leaves rustc at the release's version.
rust_packages() {
    local plain web
    plain=$(apt_offers rustc) web=$(apt_offers rustc-web)
    if [ "$web" -gt "$plain" ] && [ "$web" -ge "$1" ]; then
        printf '%s\n' rustc-web cargo-web
    elif [ "$plain" -ge "$1" ]; then
        printf '%s\n' rustc cargo
    fi
}

# lint_packages: rustfmt and clippy of the Debian packages that the compiler here is from, what is missing of them.
lint_packages() {
    local web
    web=$(dpkg-query -W -f '${db:Status-Status}' rustc-web 2>/dev/null || true)
    cargo fmt --version >/dev/null 2>&1 || { [ "$web" = installed ] && echo rustfmt-web || echo rustfmt; }
    cargo clippy --version >/dev/null 2>&1 || { [ "$web" = installed ] && echo rust-web-clippy || echo rust-clippy; }
}

# rust_missing OLDEST FOUND: says what to do, and fails.
rust_missing() {
    local found=none
    [ "$2" = 0 ] || found=1.$2
    echo "setup: needs Rust 1.$1 or newer with cargo; found $found, and apt's lists offer none" >&2
    if command -v rustup >/dev/null; then
        echo "setup: run: rustup update stable && rustup default stable" >&2
    else
        echo "setup: run: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh" >&2
    fi
    return 1
}
