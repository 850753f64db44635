"""A developer's wait: what a header adds to a translation unit, how large the tool is, ./test from clean."""

import functools
import os
import pathlib
import resource
import subprocess
import tempfile
import time

from programs import Failed, Missing, figures


def compile_seconds(machine, text):
    """CPU seconds of g++ -O2 on one file, which is its time on a machine that does nothing else."""
    with tempfile.TemporaryDirectory(prefix="plait-compile-") as folder:
        source = pathlib.Path(folder, "unit.cpp")
        source.write_text(text, encoding="ascii")
        include = machine.sources.parent / "include"
        command = ["g++", "-std=c++20", "-O2", "-c", f"-I{include}", *machine.boost_flags,
                   str(source), "-o", "/dev/null"]
        before = children_seconds()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
            if "No such file or directory" in errors[0]:
                raise Missing(errors[0].rpartition("error: ")[2])
            raise Failed(errors[0])
        return children_seconds() - before


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fastest(machine, text, times=3):
    """Other programs can only add to a compilation's time, so the least of a few is the best figure."""
    return min(compile_seconds(machine, text) for _ in range(times))


def header_cost(header):
    """What #include <header> adds to an empty translation unit."""
    def measure(machine, _quick):
        with_header = fastest(machine, f"#include <{header}>\nint main() {{}}\n")
        return {"seconds": max(0.0, with_header - fastest(machine, "int main() {}\n"))}
    return measure


@functools.lru_cache(maxsize=None)
def asio_cost(machine, quick):
    """The peer's, once a run. <utility> first: Boost's awaitable.hpp forgets it."""
    with_header = fastest(machine, "#include <utility>\n#include <boost/asio.hpp>\nint main() {}\n",
                          1 if quick else 2)
    return {"seconds": with_header - fastest(machine, "int main() {}\n")}


def stripped_megabytes(program):
    with tempfile.TemporaryDirectory(prefix="plait-strip-") as folder:
        stripped = pathlib.Path(folder, "stripped")
        subprocess.run(["strip", "-o", str(stripped), str(program)], check=True)
        return stripped.stat().st_size / 1e6


def hello(engine):
    """The least program of an engine: stripped size, and what is resident when it has said hello."""
    def measure(machine, _quick):
        command = machine.program(f"hello_{engine}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return {"megabytes": stripped_megabytes(command[0]), "resident": figures(done)["resident"]}
    return measure


def tool_size(machine, _quick):
    if not machine.tool.exists():
        raise Missing("the plait tool is not built")
    return {"megabytes": stripped_megabytes(machine.tool)}


def test_from_clean(machine, _quick):
    """./test in a fresh clone, without ccache."""
    if not machine.from_clean:
        raise Missing("takes minutes, so it is measured with --from-clean only")
    with tempfile.TemporaryDirectory(prefix="plait-clean-") as folder:
        clone = pathlib.Path(folder, "plait")
        subprocess.run(["git", "clone", "-q", str(machine.sources.parent), str(clone)], check=True)
        started = time.monotonic()
        done = subprocess.run(["./test"], cwd=clone, capture_output=True, text=True, check=False,
                              env=os.environ | {"CCACHE_DISABLE": "1"})
        minutes = (time.monotonic() - started) / 60
    if done.returncode != 0:
        raise Failed("./test failed: " + " / ".join(done.stdout.strip().splitlines()[-3:]))
    return {"minutes": minutes}
