# shellcheck shell=bash
# Sourced after apt.sh: one mmdebstrap of the lab's Debian, small, from this machine's mirrors.
# Defines: debootstrap_lab.

# debootstrap_lab TARGET PACKAGES [ARG...] : TARGET is a tar (`*.tar`) or a folder; PACKAGES a comma list.
debootstrap_lab() {
  local pause log=$1.log
  # A mirror that refuses is given time; there is nothing else to wait for.
  for pause in 15 30 60 0; do
    if debootstrap_once "$@" >"$log" 2>&1; then rm -f "$log" && return; fi
    rm -rf --one-file-system "$1"
    grep -E '^(E:|W:|Err)' "$log" >&2 || tail -n 20 "$log" >&2
    rm -f "$log"
    say "mmdebstrap failed$([ "$pause" = 0 ] || echo "; once more in $pause s")"
    sleep "$pause"
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
  mmdebstrap --mode=root --variant=minbase --verbose --include="$packages" "${opts[@]}" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$@" "$LAB_SUITE" "$target" < <(debian_sources "$LAB_SUITE")
}
