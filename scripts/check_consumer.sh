#!/usr/bin/env bash
# Proves that somebody else's project can use plait: once installed and found by find_package, once by
# add_subdirectory; and that a component that does not exist is refused by name. Needs build/release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

root=$PWD
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# consume NAME CMAKE-ARGUMENT...: builds tests/consumer so, and runs its programs.
consume() {
  local folder=$scratch/$1 program
  shift
  cmake -S "$root/tests/consumer" -B "$folder" -G Ninja -DCMAKE_CXX_COMPILER=g++ -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
        -DCMAKE_BUILD_TYPE=Release "$@"
  cmake --build "$folder" --parallel "$(nproc)"
  for program in consumer only_threads everything; do
    timeout 60 "$folder/$program" || { echo "consumer: $program failed"; return 1; }
  done
}

configure release
build release
cmake --install build/release --prefix "$scratch/prefix" >/dev/null
consume installed "-DCMAKE_PREFIX_PATH=$scratch/prefix"
# What is installed must not lean on the folder that it was built in.
if grep -rIl --exclude-dir=bin -e "$root" "$scratch/prefix"; then
  echo "consumer: the files above, installed, name the build's own folder"
  exit 1
fi
consume subdirectory "-DPLAIT_SOURCE=$root"

mkdir "$scratch/unknown"
cat >"$scratch/unknown/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.25)
project(unknown LANGUAGES CXX)
find_package(plait REQUIRED COMPONENTS threads no_such_floor)
PROJECT
if errors=$(cmake -S "$scratch/unknown" -B "$scratch/unknown/build" -G Ninja \
                  "-DCMAKE_PREFIX_PATH=$scratch/prefix" 2>&1); then
  echo "consumer: find_package accepted a component that does not exist"
  exit 1
fi
grep -q "no component 'no_such_floor'" <<<"$errors" ||
  { echo "consumer: the refusal of an unknown component does not name it: $errors"; exit 1; }
echo "consumer: installed, as a subfolder, and with an unknown component: all as they should be"
