# Sourced by every script here: the folders of builds and state, and functions for messages and packages.
# Everything expensive lives outside the checkout, so that a fresh clone starts warm.
# TODOHOST_PROFILE is the profile of the host: release, which users get and `make test` tests, or dev, which compiles
# faster and is the default of the scripts for one kind of tests.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/todohost
state=${XDG_STATE_HOME:-$HOME/.local/state}/todohost
machine=$root/tests/machine/machine
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export TODOHOST_CORE_PLUGINS=$CARGO_TARGET_DIR/plugins/core.json
export TODOHOST_PLUGINS=$CARGO_TARGET_DIR/plugins
export TODOHOST_PROFILE=${TODOHOST_PROFILE:-release}
case $TODOHOST_PROFILE in
  release) profile_folder=$CARGO_TARGET_DIR/release profile_options=(--release) ;;
  dev) profile_folder=$CARGO_TARGET_DIR/debug profile_options=(--profile dev) ;;
  *) echo "TODOHOST_PROFILE is release or dev, not '$TODOHOST_PROFILE'" >&2; return 2 ;;
esac
export TODOHOST_BIN=$profile_folder/todohost
mkdir -p "$CARGO_TARGET_DIR" "$state/log"
cd "$root"

# say TEXT: one line of progress, with the seconds since the script began
say() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }
# shows COUNT PATTERN COMMAND...: runs it, and fails unless that many lines of what it printed match; tests that are
# named by a filter pass where it finds none
shows() {
  local count=$1 pattern=$2 printed found
  shift 2
  printed=$(mktemp "$state/printed.XXXXXX")
  "$@" | tee "$printed" || { rm "$printed"; return 1; }
  found=$(grep -c -- "$pattern" "$printed") || true
  rm "$printed"
  [ "$found" -eq "$count" ] || { say "$found lines match '$pattern', not $count"; return 1; }
}
# die TEXT: ends with one line that says how to go on. A stage repeats this line in its own last line.
die() {
  [ -z "${TODOHOST_STAGE_CAUSE:-}" ] || printf '%s\n' "$*" >"$TODOHOST_STAGE_CAUSE"
  printf '%s\n' "$*" >&2
  exit 1
}
# logged NAME COMMAND...: runs one stage and copies its output into the file $stage_log. The stage may set another
# $stage_log. A function runs in the shell of the caller.
logged() {
  local name=$1 result=0 copying
  shift
  stage_log=$state/log/$(tr -cs '[:alnum:]\n' - <<<"$name").log
  export TODOHOST_STAGE_CAUSE=$stage_log.cause
  rm -f "$TODOHOST_STAGE_CAUSE"
  : >"$stage_log"
  { "$@" || result=$?; } > >(trap '' INT TERM; exec tee "$stage_log") 2>&1
  copying=${!:-}
  # A process that the stage left running may keep the pipe open, so the wait for the copy is limited to a second.
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -n "$copying" ] && kill -0 "$copying" 2>/dev/null || break
    sleep 0.05
  done
  return "$result"
}
# red NAME: prints the last line of a failed run, with the stage, the reason and the log
red() {
  local cause
  cause=$(cat "$TODOHOST_STAGE_CAUSE" 2>/dev/null || python3 tests/scripts/cause.py "$stage_log" || tail -n 1 "$stage_log")
  printf 'make %s: "%s" failed: %s; the log is %s\n' "$(basename "$0")" "$1" "$cause" "$stage_log" >&2
}
# has PROGRAM...: are all of them there?
has() { command -v "$@" >/dev/null 2>&1; }
# upstream_helm 3|4: the path of upstream's helm of that major, built once into the cache. The fourth is the version
# that the Helm plugin is made of, the third the one that the tests of the cluster take, too.
upstream_helm() {
  local version place
  case $1 in
    3) version=$(awk -F'"' '/^const THREE: / { print $2 }' "$root/tests/src/helm.rs") ;;
    4) version=$(awk '$1 == "helm.sh/helm/v4" { print $2 }' "$root/plugins/steps/helm/engine/go.mod") ;;
  esac
  place=$cache/helm-upstream/${version:?no version of helm $1 is named}
  [ -x "$place/helm" ] || CGO_ENABLED=0 GOBIN=$place go install -trimpath "helm.sh/helm/v$1/cmd/helm@$version" || return
  echo "$place/helm"
}
