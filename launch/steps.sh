# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by the scripts: named steps whose output goes to a log, with elapsed seconds on the screen and the log's tail
# when one fails. The caller sets `log`; it is emptied by the first step, so a run that has nothing to do keeps the last
# interesting log.

begun=$SECONDS
log_is_fresh=false
ticker=

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

stop_ticker() {
  [[ -z $ticker ]] || kill "$ticker" 2>/dev/null || true
  ticker=
}
trap stop_ticker EXIT

# Shows that a long step lives: on a terminal one line that is rewritten, in a log file one line every half minute.
tick() {
  local label=$1 start=$2 pause=30 form='%5d s  ... %s\n'
  if [[ -t 1 ]]; then pause=1 form='\r\033[K%5d s  %s'; fi
  # The sleep outlives its killed parent for a moment: it must hold neither the caller's pipe nor a lock.
  while sleep "$pause" >/dev/null 2>&1 9>&- && kill -0 $$ 2>/dev/null; do
    # shellcheck disable=SC2059
    printf "$form" $((SECONDS - start)) "$label: $(tail -n 1 "$log" | cut -c 1-70)"
  done
}

# step LABEL COMMAND...: the seconds in front of the label are those of the whole run, the ones behind it the step's own.
step() {
  local label=$1 start=$SECONDS status
  shift
  mkdir -p "$(dirname "$log")"
  if ! $log_is_fresh; then
    : >"$log"
    log_is_fresh=true
  fi
  printf '== %s: %s\n' "$label" "$*" >>"$log"
  tick "$label" "$begun" 9>&- &
  ticker=$!
  # Without `||`, or bash would ignore errors inside a function that runs as a step.
  set +e
  (set -e; "$@") </dev/null >>"$log" 2>&1
  status=$?
  set -e
  stop_ticker
  if [[ -t 1 ]]; then printf '\r\033[K'; fi
  if ((status != 0)); then
    printf '%5d s  FAILED: %s (exit %d)\n' $((SECONDS - begun)) "$label" "$status"
    printf -- '--- the end of %s\n' "$log" >&2
    tail -n 30 "$log" >&2
    printf -- '---\n' >&2
    die "$label failed; the whole output is in $log"
  fi
  printf '%5d s  %s (%d s)\n' $((SECONDS - begun)) "$label" $((SECONDS - start))
}
