#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs trimtab on several ranks with mpirun. Usage: launch/mpirun.sh train experiment.yaml [--set ...]
# The experiment's mesh has `ranks` ranks: data * pipe * tensor.
set -euo pipefail

# --- what you edit; each may be set in the environment instead ---------------------------------------------------------
ranks=${ranks:-4}
hosts=${hosts:-}                    # node-a:8,node-b:8 (ranks of each); empty: this machine, or the batch system's nodes
trimtab=${trimtab:-$(dirname "${BASH_SOURCE[0]}")/../build/release/launch/trimtab}
lost=${lost:-30}                    # seconds after which a host that does not answer ends the job
options=${options:-}                # further options of mpirun, such as: --mca btl_tcp_if_include eth0
# -----------------------------------------------------------------------------------------------------------------------

if [[ -z $hosts ]] && ! command -v "$trimtab" >/dev/null; then
  echo "mpirun.sh: there is no program $trimtab: run launch/build, or name it in the variable trimtab" >&2
  exit 2
fi
command=(mpirun -n "$ranks" --bind-to none)   # the ranks share the cores of their host by themselves
if [[ -n $hosts ]]; then
  command+=(--host "$hosts")
  export OMPI_MCA_plm_rsh_agent=${OMPI_MCA_plm_rsh_agent:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/host-shell}
fi
# Open MPI's daemons ask those that are silent for a sign of life: left alone after 300 s, then nine times every 20 s.
export OMPI_MCA_oob_tcp_keepalive_time=$((lost > 3 ? lost / 2 : 1)) OMPI_MCA_oob_tcp_keepalive_probes=3
export lost OMPI_MCA_oob_tcp_keepalive_intvl=$((lost > 6 ? lost / 6 : 1))
# Settings of trimtab and NCCL hold on all hosts.
for name in $(compgen -e); do
  case $name in TRIMTAB_* | NCCL_* | OMP_NUM_THREADS) command+=(-x "$name") ;; esac
done
# shellcheck disable=SC2206
command+=($options "$trimtab" "$@")

# mpirun ends its ranks a second after a SIGTERM, which is no time to save; SIGUSR1 it passes on, and trimtab then saves and
# ends with 75. The warning is repeated, since mpirun loses one that comes before its ranks are there. A second signal, unless it
# comes within a second or two, ends at once. SIGCONT, which batch systems send before a signal, must not be trapped: bash loses
# one of two that arrive together.
job='' asked='' woken=''
warn() { while kill -USR1 "$job" 2>/dev/null; do sleep 1; done; }
ask() {
  woken=1
  if [[ -z $asked ]]; then
    asked=$SECONDS
    if [[ -n $job ]]; then warn >/dev/null 2>&1 & fi
  elif [[ -n $job ]] && ((SECONDS - asked > 1)); then
    kill -TERM "$job" || true
  fi
}
trap ask USR1 TERM INT HUP QUIT
if [[ -n $asked ]]; then exit 75; fi
# In a session of its own: Ctrl-C at a terminal is for this script alone. bash lets what runs behind & ignore SIGINT.
setsid env --default-signal=INT,QUIT "${command[@]}" &
job=$!
if [[ -n $asked ]]; then warn >/dev/null 2>&1 & fi   # in between
status=0
wait "$job" || status=$?
while [[ -n $woken ]]; do   # a trap ends `wait` before the job has ended
  woken='' again=0
  wait "$job" 2>/dev/null || again=$?
  ((again == 127)) || status=$again   # 127: it was the job's own status already
done
# Killed by the warning: the launcher or a rank had not begun, so there was nothing to save.
if [[ -n $asked ]] && ((status == 128 + $(kill -l USR1))); then status=75; fi
exit "$status"
