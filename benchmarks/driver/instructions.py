"""Instructions an operation, by callgrind: repeatable on a busy machine, where times are not."""

import re
import subprocess

from programs import Failed, Missing

# What, our program, the limit's, the mode, and two sizes; their difference leaves start-up out.
COUNTED = [
    ("await a child", "coroutines_bench", "coroutines_limit", "await_child", 1_000, 21_000),
    ("spawn + join", "coroutines_bench", "coroutines_limit", "spawn_join", 1_000, 21_000),
    ("switch", "coroutines_bench", "coroutines_limit", "switch", 1_000, 21_000),
    ("semaphore", "coroutines_bench", "coroutines_limit", "sem", 1_000, 21_000),
    ("bounded queue", "coroutines_bench", "coroutines_limit", "chan", 2_000, 22_000),
    ("timer set + cancel", "coroutines_bench", "coroutines_limit", "timers", 2_000, 22_000),
    ("submit + get, 1 worker", "threads_bench", None, "submit_get", 1_000, 11_000),
]


def collected(command):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
                          capture_output=True, text=True, timeout=120, check=False)
    count = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not count:
        raise Failed((done.stderr.strip().splitlines() or ["valgrind said nothing"])[-1])
    return int(count.group(1))


def an_operation(machine, program, mode, small, large):
    counts = [collected(machine.program(program) + [mode, str(n), "1", "1"]) for n in (small, large)]
    return (counts[1] - counts[0]) / (large - small)


def measure(machine):
    """Yields (what, ours, limit); a figure that could not be had is a sentence instead."""
    for what, ours, limit, mode, small, large in COUNTED:
        found = []
        for program in (ours, limit):
            try:
                found.append(an_operation(machine, program, mode, small, large) if program else "-")
            except (Missing, Failed) as reason:
                found.append(str(reason))
        yield what, *found
