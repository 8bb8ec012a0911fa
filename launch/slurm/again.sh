# SPDX-License-Identifier: Apache-2.0
# What the batch files here share: a job that is warned, or loses a rank, is queued again. `trimtab launch --print --preempt` writes
# what follows into its files.

# begin_life COMMAND...: before the run that COMMAND starts.
begin_life() {
  run=$("$@" --print-config | sed -n 's/^output: "\{0,1\}\(.*[^"]\)"\{0,1\}$/\1/p') && run=${run:-.}
  ((${SLURM_RESTART_COUNT:-0})) || rm -f "$run/faults"
  saved_before=$(saved)
}
saved() { stat -c '%n %i %y' "$run"/last.h5 "$run"/journal-?.h5 2>/dev/null; }

# end_life STATUS: after it. 75 is saved, 138 warned before there was anything to save; 69 means that another job has the folder, as a
# lost host's ranks may for a while; 2 is no fault of a machine, nor are three faults in a row after each of which no more was saved
# than before.
end_life() {
  local status=$1 faults=0 lives=$((${SLURM_RESTART_COUNT:-0} + 1)) most_lives=${most_restarts:-100}
  case $status in
    0 | 2) most_lives=0 ;;
    69 | 75 | 138) ;;
    *) if [[ $(saved) == "$saved_before" ]]; then faults=$(($(cat "$run/faults" 2>/dev/null) + 1)); fi ;;
  esac
  if ((faults > 0)); then
    { mkdir -p "$run" && echo "$faults" >"$run/faults"; } || exit "$status"
  elif ((status != 69)); then
    rm -f "$run/faults"
  fi
  if ((faults < 3 && lives <= most_lives)); then
    echo "ended with $status; queued again ($lives of at most $most_lives times)"
    scontrol requeue "$SLURM_JOB_ID" && sleep 60   # Slurm ends this script
  fi
  exit "$status"
}
