"""What is left of a process pool 100 ms after its parent was killed by SIGKILL."""

import os
import selectors
import signal
import subprocess
import time

from programs import Failed, Missing


def survivors(command):
    """Starts a program that prints "ready" when its workers run, kills it, counts who lives on."""
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              start_new_session=True)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(parent.stdout, selectors.EVENT_READ)
            ready = selector.select(timeout=10) and parent.stdout.readline().strip() == "ready"
        family = descendants(parent.pid)
    finally:
        parent.kill()
        parent.wait()
    if not ready:
        said = parent.stderr.read().strip()
        if "no such mode" in said or "usage:" in said:
            raise Missing("the program has no such mode")
        raise Failed(f"{command[0]} did not get its workers running: {said[-200:]}")
    if not family:
        raise Failed(f"{command[0]} had no workers")
    time.sleep(0.1)
    left = [pid for pid, began in family if began_at(pid) == began]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return {"survivors": float(len(left))}


def descendants(root):
    """(pid, start time) of every process below root."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found, waiting = [], [root]
    while waiting:
        for child in children.get(waiting.pop(), []):
            waiting.append(child)
            found.append((child, began_at(child)))
    return found


def stat_fields(pid):
    """The fields of /proc/PID/stat after the name; empty if it is gone or only waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if fields[0] in "ZX" else fields


def began_at(pid):
    fields = stat_fields(pid)
    return fields[19] if fields else None
