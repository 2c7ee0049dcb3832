# shellcheck shell=bash
# Sourced after apt.sh: one mmdebstrap of the lab's Debian, small, from this machine's mirrors.
# Defines: debootstrap_lab.

# debootstrap_lab TARGET PACKAGES [ARG...] : TARGET is a tar (`*.tar`) or a folder; PACKAGES a comma list.
debootstrap_lab() {
  local times
  for times in 1 2 3; do
    if debootstrap_once "$@"; then return; fi
    rm -rf --one-file-system "$1"
    # A mirror that refuses is given time; there is nothing else to wait for.
    [ "$times" = 3 ] || { say "mmdebstrap failed ($times); once more in 15 s" && sleep 15; }
  done
  return 1
}

debootstrap_once() {
  local target=$1 packages=$2 option opts=()
  shift 2
  # what the machine says about proxies and the age of its mirror holds here too
  while IFS= read -r option; do opts+=("--aptopt=$option"); done < <(
    apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy) ' | sed 's/;$//'
  )
  # Mirrors drop a connection now and then.
  opts+=('--aptopt=Acquire::Retries "5"')
  mmdebstrap --mode=root --variant=minbase --quiet --include="$packages" "${opts[@]}" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$@" "$LAB_SUITE" "$target" < <(debian_sources "$LAB_SUITE") >&2
}
