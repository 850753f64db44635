#!/usr/bin/env bash
# Holds the shared libraries to what abi/ says that they export, so that no change of it goes unnoticed.
#   scripts/check_abi.sh            compares; says what is gone and what is new, and fails if there is anything
#   scripts/check_abi.sh --update   writes abi/ anew
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

python3 scripts/abi_surface.py --self-test
configure shared
build shared
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
version=$(sed -n 's/^project(plait VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
echo "$version" >"$scratch/version"
for library in build/shared/src/*/libplait_*.so; do
  python3 scripts/abi_surface.py include "$library" >"$scratch/$(basename "$library" .so)"
done

if [ "${1:-}" = --update ]; then
  mkdir -p abi
  rm -f abi/*
  cp "$scratch"/* abi
  wc -l abi/*
  exit 0
fi

# Every line with its file before it.
flat() { (cd "$1" && for name in *; do sed "s/^/  $name: /" "$name"; done) | LC_ALL=C sort; }
gone=$(LC_ALL=C comm -23 <(flat abi) <(flat "$scratch"))
new=$(LC_ALL=C comm -13 <(flat abi) <(flat "$scratch"))
if [ -z "$gone$new" ]; then
  echo "abi: version $version exports what abi/ says, $(cat abi/libplait_* | wc -l) lines"
  exit 0
fi
[ -z "$gone" ] || printf 'abi: gone since abi/ was written:\n%s\n' "$gone"
[ -z "$new" ] || printf 'abi: new since abi/ was written:\n%s\n' "$new"
[ -z "$gone" ] || echo "abi: programs that use what is gone will not start: before 1.0 that needs a new minor version, after it a major one."
echo "abi: if this is meant, run scripts/check_abi.sh --update and commit abi/ with the change."
exit 1
