"""Stopwatch, arguments and the result line of the Python peers, as in measurement.hpp."""

import resource
import sys
import time


class Arguments:
    """program mode [n [workers [repeats]]] [uvloop]"""

    def __init__(self):
        words = [word for word in sys.argv[1:] if word != "uvloop"]
        self.uvloop = "uvloop" in sys.argv
        self.mode = words[0]
        self.n = int(words[1]) if len(words) > 1 else 0
        self.workers = int(words[2]) if len(words) > 2 else 2
        self.repeats = int(words[3]) if len(words) > 3 else 1

    def n_or(self, fallback):
        return self.n or fallback


def cpu_now():
    """User and system time of this process and of the children it has waited for."""
    return sum(sum(resource.getrusage(who)[:2])
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class Stopwatch:
    def __init__(self):
        self.cpu = cpu_now()
        self.wall = time.perf_counter()

    def read(self):
        return time.perf_counter() - self.wall, cpu_now() - self.cpu


def status_kb(key):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key + ":"))


def implementation(name):
    return f"python{sys.version_info[0]}.{sys.version_info[1]}_{name}"


def report(bench, name, operations, lap, **extras):
    seconds, cpu_seconds = lap
    print(f"R bench={bench} impl={implementation(name)} n={operations} secs={seconds:.6f}"
          f" ns_op={seconds * 1e9 / operations:.3f}"
          f" cpu_ns_op={cpu_seconds * 1e9 / operations:.3f} hwm_kb={status_kb('VmHWM')}",
          *(f"{key}={value:.6g}" for key, value in extras.items()), flush=True)


def run_mode(modes):
    arguments = Arguments()
    if arguments.mode not in modes:
        sys.exit(f"no such mode: {arguments.mode}")
    modes[arguments.mode](arguments)
