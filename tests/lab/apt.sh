# shellcheck shell=bash
# Sourced: the Debian mirrors that this machine's own apt uses, and an apt with private lists and sources.
# Nothing below /etc/apt or /var/lib/apt/lists is written.
# Sets: APT_MAIN, APT_SECURITY (may be empty), HOST_CODENAME. Defines: lab_apt, debian_sources.

APT_DIR=$LAB_CACHE/apt
mkdir -p "$APT_DIR/lists/partial" "$APT_DIR/archives/partial" "$APT_DIR/empty"

# The machine's sources, but our lists: `update` here must not disturb the machine's own.
private_lists() {
  flock "$APT_DIR/lock" apt-get -qq -o Acquire::Retries=5 -o APT::Sandbox::User=root -o Dir::State::lists="$APT_DIR/lists" "$@"
}

# find_mirrors : ask apt itself, so deb822 files, one-line lists, mirror options and proxies all count.
find_mirrors() {
  local site codename component origin
  APT_MAIN='' APT_SECURITY=''
  private_lists update >&2 || die "apt-get update failed; the lab takes its mirror from this machine's apt configuration"
  # apt expands the $(...), not the shell
  # shellcheck disable=SC2016
  local format='$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)'
  # shellcheck source=/dev/null
  HOST_CODENAME=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  while IFS='|' read -r site codename component origin; do
    if [ "$component|$origin" != "main|Debian" ]; then continue; fi
    case $codename in
      "$HOST_CODENAME") APT_MAIN=${APT_MAIN:-$site} ;;
      "$HOST_CODENAME"-security) APT_SECURITY=${APT_SECURITY:-$site} ;;
    esac
  done < <(private_lists indextargets --format "$format" 'Created-By: Packages')
  [ -n "$APT_MAIN" ] || die "no Debian main repository of ${HOST_CODENAME:-this release} in this machine's apt configuration"
}

# debian_sources SUITE : one-line sources of a Debian suite on this machine's mirrors.
debian_sources() {
  echo "deb $APT_MAIN $1 main"
  echo "deb $APT_MAIN $1-updates main"
  # Taken from only where that is asked for.
  [ "$1" != "$LAB_SUITE" ] || echo "deb $APT_MAIN $1-backports main"
  [ -z "$APT_SECURITY" ] || echo "deb $APT_SECURITY $1-security main"
}

# lab_apt ARG... : apt-get with $APT_DIR/sources.list as its only source.
lab_apt() {
  apt-get -o Acquire::Retries=5 -o APT::Sandbox::User=root \
    -o Dir::Etc::sourcelist="$APT_DIR/sources.list" -o Dir::Etc::sourceparts="$APT_DIR/empty" \
    -o Dir::State::lists="$APT_DIR/lists" -o Dir::Cache::archives="$APT_DIR/archives" \
    -o DPkg::Lock::Timeout=300 "$@"
}
