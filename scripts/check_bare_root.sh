#!/usr/bin/env bash
# The README's first two commands on a bare Debian 12: debootstrap makes a root with nothing in it, the committed tree is
# cloned there, and ./run --quick installs what it needs by itself, builds and measures. With --test, ./test too.
#   scripts/check_bare_root.sh [--test] [--ccache FOLDER] [--keep]
# Needs root and debootstrap. Without a compiler's cache it takes as long as a build from clean, 10 minutes and more on
# two CPUs, so that .ci/run leaves it out. --ccache: shows the new root a cache of this machine, for a shorter check.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

commands=("./run --quick") cache="" keep=""
while [ $# -gt 0 ]; do
  case $1 in
    --test) commands+=("./test") ;;
    --ccache) cache=$(realpath "$2"); shift ;;
    --keep) keep=yes ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || { echo "bare root: debootstrap and chroot need root" >&2; exit 2; }
install_missing debootstrap git

root=$(mktemp -d /var/tmp/plait-root.XXXXXX)
leave() {
  for folder in ccache dev sys proc; do
    ! mountpoint -q "$root/$folder" || umount -l "$root/$folder"
  done
  if [ -n "$keep" ]; then echo "bare root: kept as $root"; else rm -rf --one-file-system "$root"; fi
}
trap leave EXIT

# The mirror, and how to reach it, as this machine has them.
mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\?\(http[^ ]*debian\)\/\? bookworm main.*/\2/p' /etc/apt/sources.list \
         /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1) || true
[ -n "$mirror" ] || mirror=$(sed -n 's/^URIs: \(http[^ ]*debian\)\/\?$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1) || true
debootstrap --variant=minbase bookworm "$root" "${mirror:-http://deb.debian.org/debian}" >"$root.log" 2>&1 ||
  { tail -n 20 "$root.log"; echo "bare root: debootstrap failed"; exit 1; }
rm -f "$root.log"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/trusted.gpg.d /etc/apt/keyrings \
   "$root/etc/apt/" 2>/dev/null || true
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
environment=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive)
if [ -n "$cache" ]; then
  mkdir "$root/ccache"
  mount --bind "$cache" "$root/ccache"
  environment+=(CCACHE_DIR=/ccache CCACHE_BASEDIR=/plait CCACHE_NOHASHDIR=1)
fi
for name in http_proxy https_proxy no_proxy; do
  [ -z "${!name:-}" ] || environment+=("$name=${!name}")
done

git clone -q --no-local . "$root/plait"
echo "bare root: $(find "$root/usr/bin" | wc -l) commands, and no compiler: $(chroot "$root" sh -c 'command -v g++ cmake python3' || echo none)"
for command in "${commands[@]}"; do
  start=$SECONDS
  chroot "$root" /usr/bin/env -i "${environment[@]}" sh -c "cd /plait && $command" ||
    { echo "bare root: $command failed"; exit 1; }
  echo "bare root: $command ran, in $((SECONDS - start)) s with the packages and the build"
done
