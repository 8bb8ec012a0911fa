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

command=(mpirun -n "$ranks" --bind-to none)   # the ranks share the cores of their host by themselves
if [[ -n $hosts ]]; then
  command+=(--host "$hosts")
  export OMPI_MCA_plm_rsh_agent=${OMPI_MCA_plm_rsh_agent:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/host-shell}
fi
# Open MPI's daemons ask those that are silent for a sign of life: left alone after 300 s, then nine times every 20 s.
export OMPI_MCA_oob_tcp_keepalive_time=$((lost > 3 ? lost / 2 : 1)) OMPI_MCA_oob_tcp_keepalive_probes=3
export lost OMPI_MCA_oob_tcp_keepalive_intvl=$((lost > 6 ? lost / 6 : 1))
# shellcheck disable=SC2206
command+=($options "$trimtab" "$@")
"${command[@]}" &
job=$!

# mpirun ends its ranks a second after a SIGTERM, which is no time to save; SIGUSR1 it passes on, and trimtab then saves and
# ends with 75. A second signal ends at once. SIGCONT, which batch systems send before a signal, must not be trapped: bash
# loses one of two that arrive together.
asked=false woken=''
ask() {
  woken=1
  if $asked; then kill -TERM "$job" || true; else kill -USR1 "$job" || true; fi
  asked=true
}
trap ask USR1 TERM INT
status=0
wait "$job" || status=$?
while [[ -n $woken ]]; do   # a trap ends `wait` before the job has ended
  woken='' again=0
  wait "$job" 2>/dev/null || again=$?
  ((again == 127)) || status=$again   # 127: it was the job's own status already
done
exit "$status"
