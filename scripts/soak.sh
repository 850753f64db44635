#!/usr/bin/env bash
# Every engine at once under faults; then the process must hold what it held before (tests/soak/soak.cpp). And the
# program must be able to say so: with each kind of leak, made on purpose, it has to fail by the check of that name.
#   scripts/soak.sh                  two minutes, and the leaks
#   scripts/soak.sh 3600             an hour
#   scripts/soak.sh 3600 --seed 42   the same order of random choices once more
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

seconds=${1:-120}
[ $# -eq 0 ] || shift
install_missing "${test_packages[@]}"
if ! grep -qsx 'PLAIT_BUILD_TESTS:BOOL=ON' build/release/CMakeCache.txt; then
  cmake --preset release -DPLAIT_BUILD_TESTS=ON
fi
build release plait_soak
soak=build/release/tests/soak/soak

# The workers of Celery say on standard error what they lost to the faults: that is for whoever looks for a reason.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
timeout $((seconds + 300)) "$soak" --seconds "$seconds" "$@" 2>"$said" || { cat "$said"; exit 1; }

# All of them at once: they mostly wait.
leaks=(descriptor:descriptors thread:threads child:children heap:heap mapping:resident value:values)
reports=$(mktemp -d)
trap 'rm -rf "$said" "$reports"' EXIT
for leak in "${leaks[@]}"; do
  (timeout 120 "$soak" --seconds 1 --leak "${leak%:*}" >"$reports/${leak%:*}" 2>/dev/null ||
     echo "exit status $?" >>"$reports/${leak%:*}") &
done
wait
for leak in "${leaks[@]}"; do
  report=$reports/${leak%:*}
  grep -qx "exit status 1" "$report" && grep -q "^${leak#*:} *FAILED" "$report" ||
    { echo "soak: a leak on purpose (${leak%:*}) was not found by the check of ${leak#*:}:"; cat "$report"; exit 1; }
done
echo "soak: each kind of leak, made on purpose, is found"
