# Connects to $1:$2 with the first suitable program of this image, reports the result, and passes bytes on. $3 and $4 are
# the programs for Python and for Node.
say() { echo "relay $1"; }
tell() {
  case "$1" in
    *refused*) say refused ;;
    *resol* | *"not known"* | *"bad address"* | *"No address"*) say unknown-host ;;
    *) say "failed $(printf '%s' "$1" | tail -n 1)" ;;
  esac
}
if command -v python3 >/dev/null; then
  say trying
  exec python3 -c "$3" "$1" "$2"
elif command -v node >/dev/null; then
  say trying
  exec node -e "$4" "$1" "$2"
elif command -v bash >/dev/null; then
  say trying
  if problem=$(bash -c ': <>"/dev/tcp/$1/$2"' relay "$1" "$2" 2>&1); then
    say connected
    exec bash -c 'exec 3<>"/dev/tcp/$1/$2" 4<&0; cat <&4 >&3 & cat <&3; kill $!' relay "$1" "$2"
  fi
  tell "$problem"
elif command -v nc >/dev/null; then
  say trying
  if problem=$(nc -v -z "$1" "$2" 2>&1 </dev/null); then
    say connected
    exec nc "$1" "$2"
  fi
  tell "$problem"
else
  say nothing
fi
