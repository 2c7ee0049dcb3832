# shellcheck shell=bash
# Sourced: how to reach a running lab VM. Keys are made once per cache; the host key is known before the first boot.
# Sets: LAB_SSH_DIR. Defines: make_ssh_keys, lab_port, lab_ssh, ssh_master_start, ssh_master_stop.

LAB_SSH_DIR=$LAB_CACHE/ssh

make_ssh_keys() {
  [ -s "$LAB_SSH_DIR/known_hosts" ] && return
  local tmp=$LAB_CACHE/tmp.$$.ssh
  rm -rf "$tmp" && mkdir -m 700 "$tmp"
  ssh-keygen -q -t ed25519 -N '' -C gpuvirt-lab -f "$tmp/id_ed25519"
  ssh-keygen -q -t ed25519 -N '' -C gpuvirt-lab-host -f "$tmp/host_ed25519"
  echo "gpuvirt-lab $(cut -d' ' -f1,2 "$tmp/host_ed25519.pub")" >"$tmp/known_hosts"
  rm -rf "$LAB_SSH_DIR" && mv -T "$tmp" "$LAB_SSH_DIR"
}

# lab_port PID : the loopback port that QEMU listens on. QEMU picked it, so two labs never race for one.
# Asked from the kernel: the listening 127.0.0.1 socket among the process's descriptors.
lab_port() {
  local inodes hex
  inodes=$(find "/proc/$1/fd" -maxdepth 1 -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n')
  hex=$(awk -v inodes="$inodes" 'BEGIN { n = split(inodes, a, "\n"); for (i = 1; i <= n; i++) ours[a[i]] = 1 }
    $4 == "0A" && $2 ~ /^0100007F:/ && ($10 in ours) { print substr($2, 10); exit }' /proc/net/tcp)
  [ -n "$hex" ] || return 1
  echo $((16#$hex))
}

# lab_ssh RUN_DIR ARG... : ssh to the lab VM in RUN_DIR, over the shared connection where there is one.
# A dead lab is noticed within about a minute of silence (a busy emulated machine may be silent for a while).
lab_ssh() {
  local run=$1
  shift
  ssh -F none -i "$LAB_SSH_DIR/id_ed25519" -p "$(cat "$run/port")" -l root \
    -o BatchMode=yes -o IdentitiesOnly=yes -o LogLevel=ERROR -o ConnectTimeout=10 \
    -o HostKeyAlias=gpuvirt-lab -o UserKnownHostsFile="$LAB_SSH_DIR/known_hosts" -o GlobalKnownHostsFile=/dev/null \
    -o ControlPath="$run/ssh.sock" -o ServerAliveInterval=15 -o ServerAliveCountMax=5 "$@"
}

# The shared connection: its own process, holding none of our descriptors, or a caller that reads our output waits for it.
ssh_master_start() {
  lab_ssh "$1" -O check 127.0.0.1 >/dev/null 2>&1 && return
  rm -f "$1/ssh.sock"
  lab_ssh "$1" -f -N -M 127.0.0.1 </dev/null >/dev/null 2>&1
}

ssh_master_stop() {
  [ ! -S "$1/ssh.sock" ] || lab_ssh "$1" -O exit 127.0.0.1 >/dev/null 2>&1 || true
}
