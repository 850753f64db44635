# shellcheck shell=bash disable=SC2034  # the lists are for whoever sources this
# Debian 12's packages that this project needs, and how a script gets them and builds with them.
# Sourced by run, test, bench and .ci/run, with the repository's root as the current folder.

# What the libraries and the tool are built with.
build_packages=(g++ cmake ninja-build ccache libboost-dev libcereal-dev nlohmann-json3-dev
                libcli11-dev libfmt-dev libssl-dev zlib1g-dev libbrotli-dev
                libzstd-dev libnghttp2-dev libsqlite3-dev)
# What the tests need on top: among it the real httpbin behind gunicorn, which the examples meet.
test_packages=("${build_packages[@]}" libgtest-dev googletest python3 gunicorn python3-gevent
               python3-httpbin python3-celery python3-redis python3-flask openssl nginx-light redis-server libhiredis-dev
               rabbitmq-server)
# What the documents need to become a site.
docs_packages=(mkdocs mkdocs-material doxygen python3)
# What the checks around the tests need. The sanitizers' libraries come with g++.
ci_packages=("${test_packages[@]}" "${docs_packages[@]}" clang-format git pkgconf dpkg-dev file binutils)

# install_missing PACKAGE...: installs those that are not there. As root, or through sudo when it asks for no
# password; where neither works it prints the line that somebody who may do so has to run, and fails.
install_missing() {
  if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian, so nothing is installed; it is expected to have: $*" >&2
    return 0
  fi
  local installed missing=() package
  installed=$(dpkg-query -W -f '${Package}:${db:Status-Status}\n' "$@" 2>/dev/null) || true  # some are unknown
  for package in "$@"; do
    [[ $'\n'$installed$'\n' == *$'\n'"$package:installed"$'\n'* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
    if ! sudo -n true 2>/dev/null; then
      echo "Packages are missing, and installing them needs root. Run this, then try again:" >&2
      echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
  fi
  echo "Installing: ${missing[*]}" >&2
  # The package lists of a bare machine are empty and those of an old one out of date: fetch them first.
  if "${as_root[@]}" apt-get update -q >&2 &&
     "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
       apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; then
    return 0
  fi
  echo "apt-get could not install them. When it can, try again, or run the line yourself:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
  return 1
}

# configure PRESET [CMAKE ARGUMENT...]: only where the preset has no build folder yet or the presets changed.
# After any other change of CMake's files Ninja runs CMake by itself.
configure() {
  local preset=$1
  shift
  [ "build/$preset/build.ninja" -nt CMakePresets.json ] || cmake --preset "$preset" "$@" >&2
}

# build PRESET [TARGET...]: with progress, on stderr, so that stdout is the program's alone.
build() {
  local preset=$1
  shift
  NINJA_STATUS="[%f/%t, %es] " cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"} >&2
}
