#!/bin/sh
# in_root.sh ROOT PROGRAM [ARGUMENT...]: run a program inside another Debian root, as root.
#
# The system's folders are that root's; all other folders (/home, /tmp, ...), processes, devices and
# the network are this machine's, at the same paths. The mounts lie in a namespace of this process
# and end with it. The process is replaced, never forked, so a signal reaches the program.
set -eu
exec unshare --mount -- /bin/sh -eu -c '
root=$1
shift
for path in /* /var/tmp; do
  case $path in
  /bin | /boot | /etc | /lib* | /lost+found | /run | /sbin | /sys | /usr | /var) continue ;;
  esac
  if [ -d "$path" ] && ! [ -L "$path" ]; then
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
  fi
done
# Names of hosts, and this machine'\''s own certificate authorities, if it has some.
for path in /etc/hosts /etc/resolv.conf "${SSL_CERT_FILE:-}"; do
  if [ -f "$path" ]; then
    mkdir -p "$root${path%/*}"
    [ -e "$root$path" ] || : >"$root$path"
    mount --bind "$path" "$root$path"
  fi
done
exec "$(command -v chroot || echo /usr/sbin/chroot)" "$root" "$@"
' in_root "$@"
