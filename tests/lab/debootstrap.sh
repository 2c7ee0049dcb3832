# shellcheck shell=bash
# Sourced after apt.sh: one mmdebstrap of the lab's Debian, small, from this machine's mirrors.
# Defines: debootstrap_lab.

# debootstrap_lab TARGET PACKAGES [ARG...] : TARGET is a tar (`*.tar`) or a folder; PACKAGES a comma list.
debootstrap_lab() {
  local log=$1.log status=0
  debootstrap_once "$@" >"$log" 2>&1 || status=$?
  [ "$status" = 0 ] || grep -E '^(E:|W:|Err)' "$log" >&2 || tail -n 20 "$log" >&2
  rm -f "$log"
  return "$status"
}

debootstrap_once() {
  local target=$1 packages=$2 option opts=() sources
  shift 2
  mapfile -t sources < <(debian_sources "$LAB_SUITE")
  # what the machine says about proxies and the age of its mirror holds here too
  while IFS= read -r option; do opts+=("--aptopt=$option"); done < <(
    apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Check-Date|https?::Proxy) ' | sed 's/;$//'
  )
  # Mirrors drop a connection now and then.
  opts+=('--aptopt=Acquire::Retries "5"')
  # It hands a descriptor of its own to a `sh` that knows one-digit numbers only: ours (locks) must leave it some.
  mmdebstrap --mode=root --variant=minbase --verbose --include="$packages" "${opts[@]}" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$@" "$LAB_SUITE" "$target" "${sources[@]}" </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}
