#!/usr/bin/env python3
"""Holds the source tree to its floors, its public headers to portable includes, and its files to their sizes.

  scripts/check_floors.py [ROOT]       checks the tree; prints FILE:LINE: what is wrong; exit 1 when anything is
  scripts/check_floors.py --self-test  hands the check a tree with one violation of each rule; exit 1 when it misses one

A floor may include itself and the floors before it, never one after it. Its files are include/plait/FLOOR/,
include/plait/FLOOR.hpp and src/FLOOR/. include/plait/plait.hpp stands above them all.
"""
import pathlib
import re
import sys
import tempfile

FLOORS = ["core", "inspect", "threads", "coroutines", "processes", "net", "http", "celery", "advise", "cli", "testing"]
UMBRELLA = "plait"
SUFFIXES = {".hpp", ".cpp", ".h", ".S"}

# Floors whose public headers show neither the platform nor a dependency.
PORTABLE = {"core", "inspect", "threads", "coroutines", "net", "http", "celery", "advise"}
PLATFORM = re.compile(
    r"(sys|netinet|arpa|linux|asm|net|boost|cereal|nlohmann|openssl|CLI|fmt|nghttp2|event|uv|curl|brotli)/"
    r"|(unistd|fcntl|pthread|poll|signal|sched|spawn|netdb|dlfcn|sqlite3|zlib|zstd|uv|fmt|ucontext|semaphore)\.h$"
)
# Headers that are included for their dependency's sake alone, and by no other header.
BRIDGES = {"include/plait/http/json.hpp"}
# Floors whose public headers must cost little to compile, and the standard headers that cost the most.
LEAN = {"core", "threads", "coroutines"}
HEAVY = {"chrono", "memory", "ranges", "functional", "iostream"}
TIME = "include/plait/core/clock.hpp"  # the one header that may ask for <chrono>, where nothing smaller exists

HEADER_LINES, SOURCE_LINES = 300, 600
INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def floor_of(path):
    """The floor that a path relative to the root belongs to, UMBRELLA for plait.hpp, or None."""
    parts = pathlib.PurePosixPath(path).parts
    if parts[:2] == ("include", "plait") and len(parts) == 3:
        name = pathlib.PurePosixPath(parts[2]).stem
        return name if name in FLOORS or name == UMBRELLA else None
    if parts[:2] == ("include", "plait") and len(parts) > 3 and parts[2] in FLOORS:
        return parts[2]
    if parts[:1] == ("src",) and len(parts) > 2 and parts[1] in FLOORS:
        return parts[1]
    return None


def target_of(root, file, name, quoted):
    """The path, relative to the root, of the project's file that an #include names; None for anybody else's."""
    places = [root / "include", root / "src"]
    if quoted:
        places.insert(0, (root / file).parent)
    for place in places:
        candidate = (place / name).resolve()
        if candidate.is_file() and candidate.is_relative_to(root):
            return candidate.relative_to(root).as_posix()
    return "include/" + name if name.startswith("plait/") else None


def check_include(root, file, floor, quoted, name):
    """What is wrong with one #include, or None."""
    public = file.startswith("include/")
    if public and floor in PORTABLE and PLATFORM.match(name) and file not in BRIDGES:
        return f"a public header of {floor} includes {name}; platform and dependency headers stay in .cpp files"
    if public and floor in LEAN and name in HEAVY and not (file == TIME and name == "chrono"):
        return f"a public header of {floor} includes <{name}>, which every user of it would pay for"
    target = target_of(root, file, name, quoted)
    if public and target in BRIDGES:
        return f"includes {target}, which only programs include: it brings a dependency"
    if target is None or floor == UMBRELLA:
        return None
    other = floor_of(target)
    if other is None:
        return f"includes {target}, which belongs to no floor"
    if other == UMBRELLA or FLOORS.index(other) > FLOORS.index(floor):
        return f"floor {floor} includes {target} of {other}, a floor above it"
    return None


def check_file(root, file):
    """Every (line, message) about one file."""
    floor = floor_of(file)
    if floor is None:
        return [(1, f"belongs to no floor; the floors are {' '.join(FLOORS)}")]
    lines = (root / file).read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        message = match and check_include(root, file, floor, match[1] == '"', match[2])
        if message:
            found.append((number, message))
    limit = HEADER_LINES if file.startswith("include/") else SOURCE_LINES
    if len(lines) > limit:
        found.append((limit + 1, f"{len(lines)} lines; the limit is {limit}"))
    return found


def check_tree(root):
    """Every 'FILE:LINE: message' about the tree, and how many files were read."""
    files = sorted(
        path.relative_to(root).as_posix()
        for folder in ("include", "src")
        for path in (root / folder).rglob("*")
        if path.suffix in SUFFIXES
    )
    return [f"{file}:{line}: {text}" for file in files for line, text in check_file(root, file)], len(files)


# A file's path and text, and a part of the message that it must provoke ("" for a file that is in order).
SAMPLES = [
    ("include/plait/core/state.hpp", "#include <atomic>\n", ""),
    (TIME, "#include <chrono>\n", ""),
    ("include/plait/threads/pool.hpp", "#include <plait/core/state.hpp>\n", ""),
    ("include/plait/http/get.hpp", "#include <plait/coroutines/task.hpp>\n#include <chrono>\n", ""),
    ("include/plait/plait.hpp", "#include <plait/http.hpp>\n", ""),
    ("include/plait/http.hpp", "#include <plait/http/get.hpp>\n", ""),
    ("include/plait/coroutines/task.hpp", "#include <coroutine>\n", ""),
    ("src/net/tcp.cpp", "#include <sys/epoll.h>\n#include <boost/asio.hpp>\n", ""),
    ("include/plait/core/upward.hpp", "#include <plait/threads/pool.hpp>\n", "a floor above it"),
    ("include/plait/threads.hpp", "#include <plait/coroutines/task.hpp>\n", "a floor above it"),
    ("src/core/absent.cpp", "#include <plait/http/not_there.hpp>\n", "a floor above it"),
    ("src/core/everything.cpp", "#include <plait/plait.hpp>\n", "a floor above it"),
    ("src/core/private.cpp", '#include "net/socket.hpp"\n', "a floor above it"),
    ("src/core/relative.cpp", '  #  include "../net/socket.hpp"\n', "a floor above it"),
    ("src/net/socket.hpp", "#pragma once\n", ""),
    ("include/plait/net/epoll.hpp", "#include <sys/epoll.h>\n", "stay in .cpp files"),
    ("include/plait/http/beast.hpp", "#include <boost/beast.hpp>\n", "stay in .cpp files"),
    ("include/plait/core/unix.hpp", "#include <unistd.h>\n", "stay in .cpp files"),
    ("include/plait/core/slow.hpp", "#include <chrono>\n", "would pay for"),
    ("include/plait/core/long.hpp", "\n" * (HEADER_LINES + 1), "the limit is 300"),
    ("src/core/long.cpp", "\n" * (SOURCE_LINES + 1), "the limit is 600"),
    ("src/common/misc.cpp", "\n", "belongs to no floor"),
    ("include/plait/stray.hpp", "\n", "belongs to no floor"),
    ("src/threads/stray.cpp", "#include <plait/stray.hpp>\n", "which belongs to no floor"),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        for file, text, _ in SAMPLES:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text, encoding="utf-8")
        found, _ = check_tree(root)
    wrong = 0
    for file, _, expected in SAMPLES:
        said = [line for line in found if line.startswith(file + ":")]
        if (not expected and said) or (expected and not (len(said) == 1 and expected in said[0])):
            wrong += 1
            print(f"self-test: {file}: expected {expected or 'nothing'!r}, the check said {said}")
    print(f"floors self-test: {len(SAMPLES) - wrong} of {len(SAMPLES)} samples judged right")
    return 1 if wrong else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent).resolve()
    found, count = check_tree(root)
    for line in found:
        print(line)
    if count == 0:
        print(f"floors: no source file under {root}", file=sys.stderr)
        return 1
    print(f"floors: {count} files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
