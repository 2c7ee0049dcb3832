# shellcheck shell=bash
# Sourced: cargo and what it installs, found in shells without login too, in the order that rustup's own env file gives.
# Debian's cargo is found as before: the folder is empty, or absent, until cargo install.
cargo_bin=${CARGO_HOME:-$HOME/.cargo}/bin
case ":$PATH:" in
*":$cargo_bin:"*) ;;
*) export PATH="$cargo_bin:$PATH" ;;
esac
