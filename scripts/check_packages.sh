#!/usr/bin/env bash
# Proves the packages: a build of shared libraries becomes three Debian packages; unpacked, their tool runs, its page
# of the manual can be read, and a program that asks pkg-config for plait builds and runs. And a build of one component
# asks for no dependency of the others.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/packages.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() { echo "packages: $*"; exit 1; }

configure shared
build shared
(cd build/shared && rm -f ./*.deb && cpack)
for package in build/shared/*.deb; do
  dpkg-deb -x "$package" "$scratch/root"
done
names=$(for package in build/shared/*.deb; do dpkg-deb -f "$package" Package; done | tr '\n' ' ')
[ "$names" = "libplait-dev libplait0.1 plait " ] || fail "made '$names'"

library=$(dirname "$(find "$scratch/root/usr/lib" -name 'libplait_core.so.0.1')")
export LD_LIBRARY_PATH=$library
"$scratch/root/usr/bin/plait" --version
grep -q '^.SH PLAIT FETCH' "$scratch/root/usr/share/man/man1/plait.1" || fail "the manual says nothing of fetch"
bash -c ". $scratch/root/usr/share/bash-completion/completions/plait
         COMP_WORDS=(plait fetch --res) COMP_CWORD=2 && _plait && [ \"\${COMPREPLY[*]}\" = --resume ]" ||
  fail "bash does not complete plait fetch --res"
flags=$(PKG_CONFIG_PATH=$library/pkgconfig pkg-config --cflags --libs plait)
for program in consumer only_threads everything; do
  # shellcheck disable=SC2086  # flags are words
  g++ "tests/consumer/$program.cpp" $flags -o "$scratch/$program"
  timeout 60 "$scratch/$program" || fail "$program, built with pkg-config's flags, failed"
done

# One component: no dependency of another is looked for, asked for by what is installed, or linked; and no header of
# another floor is installed.
others='openssl\|zlib\|boost\|brotli\|zstd\|nghttp2\|sqlite'
cmake -S . -B "$scratch/threads" -G Ninja -DCMAKE_CXX_COMPILER=g++ -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
      -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG" -DPLAIT_COMPONENTS=threads -DPLAIT_BUILD_TOOL=OFF \
      -DPLAIT_BUILD_TESTS=OFF -DPLAIT_BUILD_EXAMPLES=OFF >"$scratch/configure"
cmake --build "$scratch/threads" --parallel "$(nproc)"
! grep -qi "$others" "$scratch/threads/CMakeCache.txt" || fail "threads alone looks for dependencies of others"
cmake --install "$scratch/threads" --prefix "$scratch/small" >/dev/null
[ ! -e "$scratch/small/include/plait/http.hpp" ] || fail "threads alone installs http.hpp"
# shellcheck disable=SC2046
g++ tests/consumer/only_threads.cpp -o "$scratch/small/program" \
    $(PKG_CONFIG_PATH=$(dirname "$(find "$scratch/small" -name plait-threads.pc)") pkg-config --cflags --libs plait-threads)
"$scratch/small/program"
! ldd "$scratch/small/program" | grep -q 'ssl\|crypto\|libz\|brotli\|nghttp2\|sqlite' ||
  fail "a program that uses threads alone is linked with what others need"
mkdir "$scratch/asks"
cat >"$scratch/asks/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.25)
project(asks LANGUAGES CXX)
find_package(plait REQUIRED)
add_executable(asks only_threads.cpp)
target_link_libraries(asks PRIVATE plait::plait)
PROJECT
cp tests/consumer/only_threads.cpp "$scratch/asks"
cmake -S "$scratch/asks" -B "$scratch/asks/build" -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "-DCMAKE_PREFIX_PATH=$scratch/small" \
      -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON -DCMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON >"$scratch/said" ||
  { cat "$scratch/said"; fail "plait::plait of threads alone asks for what others need"; }
cmake --build "$scratch/asks/build" >"$scratch/said" || { cat "$scratch/said"; fail "it does not build"; }
"$scratch/asks/build/asks"
if cmake -S . -B "$scratch/unknown" -G Ninja -DPLAIT_COMPONENTS=thread >"$scratch/said" 2>&1; then
  fail "PLAIT_COMPONENTS took a floor that does not exist"
fi
grep -q "there is no floor 'thread'" "$scratch/said" || fail "the refusal does not name the floor"
echo "packages: $names, pkg-config, and one component alone: all as they should be"
