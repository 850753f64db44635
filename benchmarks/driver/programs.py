"""Running a benchmark program and reading the line that it prints."""

import os
import re
import subprocess
import time


class Missing(Exception):
    """What a row needs is not on this machine, or is not built. The text says what."""


class Failed(Exception):
    """A program that is there did not do its work. The text is the end of what it said."""


class Machine:
    """Where the programs are, and how much of the machine others used meanwhile."""

    def __init__(self, build, sources, tool, python, nginx):
        self.build = build
        self.sources = sources
        self.tool = tool
        self.python = python
        self.nginx = nginx
        self.others = []
        self.smoke = False  # only whether everything starts, works and reports

    def size(self, n, smoke_n):
        """How many operations: what was wanted, or as few as prove that it runs."""
        return smoke_n if self.smoke else n

    def program(self, name):
        path = self.build / name
        if not path.exists():
            raise Missing(f"{name} is not built")
        return [str(path)]

    def script(self, name):
        return [self.python, "-B", str(self.sources / "peers" / name)]

    def run(self, command, timeout=60):
        """Runs a command; returns the figures of its result line."""
        before = busy_seconds(), os.times(), time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"no result after {timeout} s") from error
        self._note_others(*before)
        return figures(done)

    def _note_others(self, busy, ours, started):
        wall = time.monotonic() - started
        now = os.times()
        own = sum(now[:4]) - sum(ours[:4])
        if wall > 0.3:
            self.others.append(max(0.0, (busy_seconds() - busy - own) / wall))


def busy_seconds():
    """CPU seconds that the whole machine has worked, from /proc/stat."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def figures(done):
    """The figures of a finished program's last result line."""
    if "ModuleNotFoundError" in done.stderr:
        module = re.search(r"No module named '([^']+)'", done.stderr).group(1)
        raise Missing(f"Python's {module} is not installed")
    lines = [line for line in done.stdout.splitlines() if line.startswith("R ")]
    if done.returncode != 0 or not lines:
        said = (done.stderr or done.stdout).strip().splitlines()
        last = said[-1] if said else "said nothing"
        raise Failed(f"{os.path.basename(done.args[0])} ended with {done.returncode}: {last}")
    found = {}
    for word in lines[-1].split()[1:]:
        key, _, value = word.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            found[key] = value
    return found
