# shellcheck shell=bash
# Words of the scripts in provocations.toml: sourced before each, in the lab VM. Its devices are variables, as in
# tests/lab/devices.env.
# shellcheck disable=SC2034 # the scripts use them

HOOK=/etc/libvirt/hooks/qemu.d/50-gpuvirt
PCI=/sys/bus/pci/devices
VGPU=00000000-0000-4000-8000-00000000f1d5
STATE=/var/lib/gpuvirt/state.json

# until COMMAND... : waits, half a minute at most, until it succeeds.
until_it() { timeout 30 bash -c 'until "$@" >/dev/null 2>&1; do read -rt 0.1 <> <(:) || :; done' - "$@"; }

# The daemon and libvirt anew, both ready to answer.
daemon_anew() { systemctl restart gpuvirtd && until_it gpuvirt gpu list; }
libvirt_anew() { systemctl restart libvirtd && until_it virsh -q list && offers_kvm && until_it gpuvirt vm list; }
# What a probe of QEMU found is kept, and one that found no KVM, because it was gone or because the emulated processor was too
# busy, is made again at the next question (libvirt, src/qemu/qemu_capabilities.c, virQEMUCapsIsValid).
offers_kvm() { until_it virsh -q domcapabilities --virttype kvm; }

# hostdev ADDRESS [yes|no] [ELEMENTS] : a PCI device of a VM, as people write it.
hostdev() {
  local domain bus slot function
  IFS=':.' read -r domain bus slot function <<<"$1"
  echo "<hostdev mode='subsystem' type='pci' managed='${2:-no}'><source><address domain='0x$domain' bus='0x$bus' \
slot='0x$slot' function='0x$function'/></source>${3:-}</hostdev>"
}
mdev() { echo "<hostdev mode='subsystem' type='mdev' model='vfio-pci' managed='no'><source><address uuid='$1'/></source></hostdev>"; }

# machine NAME DEVICES [SED] : a VM with these devices, and its definition changed besides; taken away by `no_machine`.
machine() {
  /lab/guest-domain "$1" | sed "s|</devices>|$2</devices>|; ${3:-}" >"/tmp/e2e-$1.xml" && virsh -q define "/tmp/e2e-$1.xml"
}
no_machine() { for name in "$@"; do virsh -q undefine "$name"; done; }

# edit NAME SED : its stored definition changed; `as_before NAME` puts back what it was.
edit() {
  virsh -q dumpxml --inactive --security-info "$1" >"/tmp/e2e-$1.xml" &&
    sed "$2" "/tmp/e2e-$1.xml" >"/tmp/e2e-$1-edited.xml" &&
    ! cmp -s "/tmp/e2e-$1.xml" "/tmp/e2e-$1-edited.xml" && virsh -q define "/tmp/e2e-$1-edited.xml"
}
as_before() { virsh -q define "/tmp/e2e-$1.xml"; }

# A vGPU that nobody told gpuvirt of.
make_vgpu() { echo "$VGPU" >"$PCI/$MDEV_GPU/mdev_supported_types/gpuvirt_mdev-lab-1q/create"; }
take_vgpu() { echo 1 >"/sys/bus/mdev/devices/$VGPU/remove"; }

# become VENDOR DEVICE [CLASS] : at TWIN_A the kernel finds another card; `itself` gives it back what it is.
become() {
  local ids=/sys/module/gpuvirt_card/parameters
  [ -d $ids ] || insmod /lab/modules/gpuvirt_card.ko card="$TWIN_A" || return
  echo "$1" >$ids/vendor && echo "$2" >$ids/device && echo "${3:-0}" >$ids/class && anew "$TWIN_A" && [ "$(cat "$PCI/$TWIN_A/vendor")" = "$1" ]
}
itself() {
  become 0 0 2>/dev/null
  until_it [ -e "$PCI/$TWIN_A/driver" ]
}
# anew ADDRESS : taken from the bus, and found again.
anew() { echo 1 >"$PCI/$1/remove" && echo 1 >/sys/bus/pci/rescan && [ -e "$PCI/$1" ]; }

# shows SOURCE VALUE : whether a finding's evidence is there to be read. What is no place of the host is left to the script.
shows() {
  local place=$1 value=$2 one
  case $place in /*) ;; *) return 0 ;; esac
  if [ "$value" = 'not there' ] || [ "$value" = none ]; then
    for one in ${place//,/ }; do [ ! -e "$one" ] || return 1; done
  elif [ -d "$place" ] && [ -L "$place" ] && [ "$(basename "$(readlink "$place")")" = "$value" ]; then
    return 0
  elif [ -d "$place" ]; then
    for one in $value; do [ -e "$place/$one" ] || return 1; done
  else
    grep -qF -- "$value" "$place" 2>/dev/null
  fi
}

# is_place SOURCE VALUE : whether what a finding was read from is a place: a file or folder that is there, or of which the value says
# that it is not; a VM's definition that libvirt has; one of those who tell of themselves.
is_place() {
  local value=$2 one
  case $1 in
    /*) ;;
    'definition of '*) [ -e "/etc/libvirt/qemu/${1#definition of }.xml" ]; return ;;
    'guest-driver in the metadata of '*) [ -e "/etc/libvirt/qemu/${1#guest-driver in the metadata of }.xml" ]; return ;;
    gpuvirtd | libvirt | configured* | 'made by gpuvirt in this boot' | 'held by' | "the host's driver" | 'live vGPUs' | *:///*) return 0 ;;
    *) return 1 ;;
  esac
  while read -r one; do
    # A path may have a pattern of the shell's.
    compgen -G "$one" >/dev/null || is_absent "$one" "$value" || return 1
  done <<<"${1//, /$'\n'}"
}
# Not there, as the value says, in a folder that is.
is_absent() {
  case $2 in 'not there'* | none | 'no '*) ;; *) return 1 ;; esac
  [ -d "${1%/*}" ] || [ -d "$(dirname "${1%/*}")" ]
}
