# shellcheck shell=bash
# Sourced: what every command on a running lab needs.
# Defines: require_up, explain_loss, quoted.
# shellcheck source=tests/lab/ssh.sh
. "$LAB_SRC/ssh.sh"
# shellcheck source=tests/lab/machine.sh
. "$LAB_SRC/machine.sh"

LAB_LOST=70 # exit code: the lab VM itself went away (EX_SOFTWARE)

# explain_loss : why the lab is gone, with the console's last lines
explain_loss() {
  if machine_panicked "$LAB_RUN"; then
    say "the lab VM's kernel panicked; 'scripts/lab up' starts it again. Its console:"
    grep -a -A 25 -m 1 -E 'Oops|BUG:|Kernel panic|stack guard' "$LAB_RUN/console.log" >&2 || true
  else
    say "the lab VM ended; 'scripts/lab up' starts it again, 'scripts/lab console' shows its last words"
  fi
}

require_up() {
  if machine_alive "$LAB_RUN" && ! machine_panicked "$LAB_RUN"; then return; fi
  [ -e "$LAB_RUN/pid" ] || [ -e "$LAB_RUN/console.log" ] || die "lab '$LAB_NAME' is not up; run scripts/lab up"
  explain_loss
  exit "$LAB_LOST"
}

# quoted ARG... : one line that a shell splits into the same arguments again
quoted() {
  local line
  printf -v line '%q ' "$@"
  echo "$line"
}

# on_lab SSH-OPTION... -- COMMAND-LINE : ssh whose exit code tells a lost lab from a command that failed
on_lab() {
  local options=() rc=0
  while [ "$1" != -- ]; do options+=("$1") && shift; done
  ssh_master_start "$LAB_RUN" || true
  lab_ssh "$LAB_RUN" "${options[@]}" 127.0.0.1 "$2" || rc=$?
  [ $rc = 255 ] || return $rc
  # 255 is the command's, or ssh's own failure, which may come before the lab's process has ended: a lab that is there answers
  if lab_ssh "$LAB_RUN" 127.0.0.1 true </dev/null >/dev/null 2>&1; then return 255; fi
  explain_loss
  return "$LAB_LOST"
}
