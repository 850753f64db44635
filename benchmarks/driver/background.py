"""The Celery rows: a Redis and a RabbitMQ of the driver's own, plait's client and worker and Debian's Celery on
them in turn."""

import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import tempfile
import time

import servers
from programs import Failed, Missing
from rabbitmq import rabbitmq
from rows import Contender, Figure, Row, Section, at_least, at_most


class Redis:
    """Just enough of a client to watch the server: commands without blanks in their arguments."""

    def __init__(self, port):
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.filling = []  # words before the command that fills the queue
        self.stream = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.ask("SELECT 15")

    def ask(self, command):
        self.stream.write(command.encode() + b"\r\n")
        self.stream.flush()
        line = self.stream.readline()
        if line[:1] == b"$":
            return self.stream.read(int(line[1:]) + 2).decode()
        return int(line[1:]) if line[:1] == b":" else line.decode()

    def stored(self):
        return self.ask("DBSIZE")

    def commands(self):
        info = self.ask("INFO stats")
        return int(info.split("total_commands_processed:")[1].split("\r")[0])


@contextlib.contextmanager
def redis():
    with tempfile.TemporaryDirectory(prefix="plait-redis-") as folder:
        port = servers.free_port()
        try:
            server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                       "--appendonly", "no", "--dir", folder], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, text=True)
        except FileNotFoundError as error:
            raise Missing("redis-server is not installed") from error
        try:
            servers.wait_until_open(server, port)
            yield Redis(port)
        finally:
            servers.end(server)


def ours(mode):
    return lambda machine: machine.program("celery_bench") + [mode]


def celerys(mode):
    return lambda machine: machine.script("celery_tasks.py") + [mode]


def client(command, n, key, worker=None, broker=redis):
    """A client's figures, with a worker beside it if one is named."""
    def measure(machine, quick):
        with broker() as store:
            with contextlib.ExitStack() as stack:
                if worker is not None:
                    stack.enter_context(working(worker, machine, store))
                size = str(machine.size(n // 4 if quick else n, 20))
                found = machine.run(command(machine) + [size, "1", store.address])
        found["per_second"] = 1e9 / found["ns_op"]
        return {key: found[key]}
    return measure


def redis_benchmark(machine, quick):
    """The limit of a client that waits for each: Redis' own in C, with a text as long as a message."""
    size = str(machine.size(20_000 if quick else 50_000, 20))
    with redis() as store:
        said = subprocess.run(["redis-benchmark", "-p", str(store.port), "-c", "1", "-n", size, "-d", "900",
                               "-t", "lpush", "--csv"], capture_output=True, text=True, timeout=120, check=False)
    if said.returncode != 0:
        raise Failed(said.stderr[-200:])
    return {"per_second": float(said.stdout.splitlines()[-1].split(",")[1].strip('"'))}


@contextlib.contextmanager
def working(worker, machine, store, more=None):
    """A worker, at least until its first call has ended."""
    process = subprocess.Popen(worker(machine) + [store.address], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env=os.environ | (more or {}))
    try:
        yield process
    finally:
        servers.end(process)


def our_worker(mode, concurrency):
    return lambda machine: machine.program("celery_bench") + [mode, "0", str(concurrency)]


def celery_worker(pool, concurrency):
    return lambda machine: machine.script("celery_tasks.py") + ["worker", pool, str(concurrency)]


def draining(worker, n, broker=redis):
    """Calls a second of a worker that finds n in the queue: counted in stored results from its first tenth on."""
    def measure(machine, quick):
        size = machine.size(n // 2 if quick else n, 200)
        with broker() as store:
            machine.run(store.filling + machine.program("celery_bench") + ["fill", str(size), "1", store.address])
            before = store.stored()
            first, at = size // 10, None
            with working(worker, machine, store) as process:
                ends = time.monotonic() + 120
                while (done := store.stored() - before) < size - 5:
                    if at is None and done >= first:
                        at, first = time.monotonic(), done
                    if process.poll() is not None or time.monotonic() > ends:
                        raise Failed(f"{done} of {size} calls: " + (process.stderr.read() or "")[-200:]
                                     if process.poll() is not None else f"{done} of {size} calls in two minutes")
                    time.sleep(0.002)
                seconds = time.monotonic() - (at or ends - 120)
        return {"per_second": (done - (first if at else 0)) / seconds}
    return measure


def tree(pid):
    """A process and those it has started."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += tree(int(child))
    return found


def idle(worker):
    def measure(machine, _):
        with redis() as store, working(worker, machine, store) as process:
            time.sleep(machine.size(4, 1))
            span = machine.size(10, 0.5)
            before = sum(map(servers.cpu_seconds, tree(process.pid))), store.commands()
            time.sleep(span)
            if process.poll() is not None:
                raise Failed(process.stderr.read()[-200:])
            used = sum(map(servers.cpu_seconds, tree(process.pid))) - before[0]
            asked = store.commands() - before[1] - 1  # without the question itself
        return {"percent": 100 * used / span, "per_second": asked / span}
    return measure


@contextlib.contextmanager
def sqlite():
    """A file of the driver's own in the place of a Redis."""
    @dataclasses.dataclass
    class File:
        address: str
    with tempfile.TemporaryDirectory(prefix="plait-sqlite-") as folder:
        yield File(f"sqlite:{folder}/jobs.db")


def ledger(broker):
    """Kills workers with SIGKILL while they drain a queue whose calls write down that they ran."""
    def measure(machine, quick):
        size, kills = (50_000, 50) if not machine.smoke else (200, 2)
        if quick and not machine.smoke:
            size, kills = 5_000, 10
        with broker() as store, tempfile.TemporaryDirectory(prefix="plait-ledger-") as folder:
            path = pathlib.Path(folder, "ledger")
            path.touch()
            machine.run(machine.program("celery_bench") + ["fill_notes", str(size), "1", store.address])
            more = {"PLAIT_LEDGER": str(path), "PLAIT_LEASE_MS": "1000"}
            noted = lambda: path.read_bytes().count(b"\n")  # noqa: E731
            for kill in range(kills):
                with working(our_worker("worker_threads", 4), machine, store, more) as process:
                    wanted = size * (kill + 1) // (kills + 2)
                    ends = time.monotonic() + 30
                    while noted() < wanted and time.monotonic() < ends:
                        time.sleep(0.001)
                    process.kill()
            with working(our_worker("worker_threads", 4), machine, store, more):
                killed, back = time.monotonic(), 0.0
                while time.monotonic() < killed + 60:
                    lines = path.read_bytes().split()
                    if len(set(lines)) >= size:
                        back = time.monotonic() - killed
                        break
                    time.sleep(0.05)
        return {"lost": float(size - len(set(lines))), "twice": float(len(lines) - len(set(lines))),
                "back_seconds": back or 60.0}
    return measure


def times(best):
    def reached(ours_per_second, medians):
        return "Celery" in medians and ours_per_second >= best * medians["Celery"]
    return reached


def celery():
    tasks = [Figure("calls/s", "per_second", ">= 9,000", at_least(9_000), True)]
    batched = [Figure("calls/s", "per_second", ">= 20,000", at_least(20_000), True)]
    both = ("plait, SQLite",)
    prefork, solo = celery_worker("prefork", 2), celery_worker("solo", 1)
    peers = [Contender("Celery prefork -c 2", draining(prefork, 3_000), False),
             Contender("Celery solo", draining(solo, 3_000), False, False)]
    return Section("CELERY (the same Redis or RabbitMQ; results stored; peers are Debian's Celery)", [
        Row("enqueue, each waited for", [
            Contender("plait", client(ours("send"), 20_000, "per_second")),
            Contender("limit", redis_benchmark),
            Contender("Celery", client(celerys("send"), 2_000, "per_second"), False),
        ], [Figure("calls/s", "per_second", ">= 10 x Celery", times(10), True)]),
        Row("enqueue, none waited for", [
            Contender("plait", client(ours("send_all"), 50_000, "per_second")),
            Contender("Celery", client(celerys("send"), 2_000, "per_second"), False),
        ], [Figure("calls/s", "per_second", ">= 20 x Celery", times(20), True,
                   remarks={})]),
        Row("trivial tasks, one at a time", [
            Contender("plait", draining(our_worker("worker_loop", 1), 20_000)), *peers], tasks),
        Row("trivial tasks, 64 at a time", [
            Contender("plait", draining(our_worker("worker_loop", 64), 40_000)), *peers], batched),
        Row("trivial tasks, 2 processes", [
            Contender("plait", draining(our_worker("worker_processes", 2), 20_000)), *peers], tasks),
        Row("delay().get()", [
            Contender("plait", client(ours("call"), 3_000, "p50_us", our_worker("worker_loop", 1))),
            Contender("plait, 2 processes",
                      client(ours("call"), 3_000, "p50_us", our_worker("worker_processes", 2))),
            Contender("Celery prefork -c 2", client(celerys("call"), 500, "p50_us", prefork), False),
        ], [Figure("us, median", "p50_us", "<= 300", at_most(300),
                   unranked=("plait, 2 processes",))]),
        Row("idle worker, 2 processes", [
            Contender("plait", idle(our_worker("worker_processes", 2)), False),
            Contender("Celery prefork -c 2", idle(prefork), False, False),
        ], [Figure("% of a core", "percent", "0 (<= 0.05)", at_most(0.05)),
            Figure("commands/s", "per_second", "<= 1", at_most(1))]),
        Row("50,000 calls, 50 kills -9 (--quick: 5,000, 10)", [
            Contender("plait", ledger(redis), False), Contender("plait, SQLite", ledger(sqlite), False)],
            [Figure("lost", "lost", "0", at_most(0), unranked=both),
             Figure("run twice", "twice", "<= 4 a kill", at_most(200), unranked=both),
             Figure("s until all ran, lease 1 s", "back_seconds", "<= lease + 5 s", at_most(10), unranked=both)]),
        *on_rabbitmq(),
    ])


def on_rabbitmq():
    """The same work over AMQP, where each message of ours is confirmed and Celery's only if it is told to."""
    prefork, solo = celery_worker("prefork", 2), celery_worker("solo", 1)
    peers = [Contender("Celery prefork -c 2", draining(prefork, 3_000, rabbitmq), False),
             Contender("Celery solo", draining(solo, 3_000, rabbitmq), False, False)]
    tasks = [Figure("calls/s", "per_second", "", None, True)]
    return [
        Row("RabbitMQ: enqueue, each waited for", [
            Contender("plait", client(ours("send"), 10_000, "per_second", broker=rabbitmq)),
            Contender("Celery", client(celerys("send_confirmed"), 2_000, "per_second", broker=rabbitmq), False),
            Contender("Celery, unconfirmed", client(celerys("send"), 2_000, "per_second", broker=rabbitmq), False),
        ], [Figure("calls/s", "per_second", ">= Celery", times(1), True, unranked=("Celery, unconfirmed",))]),
        Row("RabbitMQ: enqueue, none waited for", [
            Contender("plait", client(ours("send_all"), 50_000, "per_second", broker=rabbitmq)),
            Contender("Celery, unconfirmed", client(celerys("send"), 2_000, "per_second", broker=rabbitmq), False),
        ], tasks),
        Row("RabbitMQ: trivial tasks, one at a time", [
            Contender("plait", draining(our_worker("worker_loop", 1), 20_000, rabbitmq)), *peers], tasks),
        Row("RabbitMQ: trivial tasks, 64 at a time", [
            Contender("plait", draining(our_worker("worker_loop", 64), 40_000, rabbitmq)), *peers], tasks),
        Row("RabbitMQ: trivial tasks, 2 processes", [
            Contender("plait", draining(our_worker("worker_processes", 2), 20_000, rabbitmq)), *peers], tasks),
        Row("RabbitMQ: delay().get()", [
            Contender("plait", client(ours("call"), 3_000, "p50_us", our_worker("worker_loop", 1), rabbitmq)),
            Contender("Celery prefork -c 2", client(celerys("call"), 500, "p50_us", prefork, rabbitmq), False),
        ], [Figure("us, median", "p50_us", "", None)]),
        Row("RabbitMQ: 50,000 calls, 50 kills -9 (--quick: 5,000, 10)", [
            Contender("plait", ledger(rabbitmq), False)],
            [Figure("lost", "lost", "0", at_most(0)),
             Figure("run twice", "twice", "<= 4 a kill", at_most(200)),
             Figure("s until all ran", "back_seconds", "<= 10 s", at_most(10))]),
    ]
