# Sourced by every script here: where things are built and kept, and how a stage is shown.
# Everything expensive lives outside the checkout, so that a fresh clone starts warm.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/todohost
state=${XDG_STATE_HOME:-$HOME/.local/state}/todohost
machine=$root/tests/machine/machine
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
export TODOHOST_CORE_PLUGINS=$CARGO_TARGET_DIR/plugins/core.json
export TODOHOST_PLUGINS=$CARGO_TARGET_DIR/plugins
export TODOHOST_BIN=$CARGO_TARGET_DIR/release/todohost
mkdir -p "$CARGO_TARGET_DIR" "$state"
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
# die TEXT: one line that says what to do
die() { printf '%s\n' "$*" >&2; exit 1; }
# has PROGRAM...: are all of them there?
has() { command -v "$@" >/dev/null 2>&1; }
# install_missing PACKAGE=PROGRAM...: Debian packages for programs that are not there
install_missing() {
  local missing=() pair
  for pair in "$@"; do has "${pair#*=}" || missing+=("${pair%%=*}"); done
  [ ${#missing[@]} -eq 0 ] && return
  has apt-get && [ "$(id -u)" = 0 ] || die "install these first: ${missing[*]}"
  say "installing ${missing[*]}"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
    -o DPkg::Lock::Timeout=600 "${missing[@]}"; } >"$state/apt.log" 2>&1 || die "apt-get failed; see $state/apt.log"
}
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
