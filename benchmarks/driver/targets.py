"""The rows: what is measured beside what, and the goals. One section for each part of the targets."""

import re
import subprocess

from background import celery
import developer
import orphans
import servers
from programs import Failed, Missing
from rows import Absent, Contender, Figure, Row, Section, at_least, at_most


FEW = {"deadly": 1, "primes": 1, "primes_processes": 1}  # operations that prove a mode; else 20


def size_of(machine, mode, n, quick_n, quick):
    return str(machine.size(quick_n if quick and quick_n is not None else n, FEW.get(mode, 20)))


def program(name, mode, n=0, quick_n=None, workers=2, laps=3):
    """A program's mode, with n operations (0: its own default), fewer when it has to be quick."""
    def measure(machine, quick):
        size = size_of(machine, mode, n, quick_n, quick)
        return machine.run(machine.program(name) + [mode, size, str(workers), str(machine.size(laps, 1))])
    return measure


def script(name, mode, n=0, quick_n=None, *more):
    def measure(machine, quick):
        size = size_of(machine, mode, n, quick_n, quick)
        return machine.run(machine.script(name) + [mode, size, "2", *more])
    return measure


# Threads

def threads_row(work, mode, figure, names, laps=3):
    programs = {"plait": "threads_bench", "limit": "threads_limit", "TBB": "threads_tbb",
                "Asio": "threads_asio", "Go": "threads_go"}
    contenders = [Contender(name, program(programs[name], mode, laps=laps)) for name in names]
    if mode == "primes":
        contenders += [Contender("Python threads", script("threads.py", "primes"), False, False),
                       Contender("Python processes", script("threads.py", "primes_processes"), False, False)]
    elif mode != "fork_join":
        contenders.append(Contender("Python", script("threads.py", mode), False))
    return Row(work, contenders, [figure])


def threads():
    everyone = ("plait", "limit", "TBB", "Asio", "Go")
    return Section("THREADS (2 workers, result through a future)", [
        threads_row("submit + get, 1,000,000 empty calls", "submit_get",
                    Figure("ns a call", "ns_op", "<= 150", at_most(150)), everyone),
        threads_row("fork-join fib(30)", "fork_join",
                    Figure("ns a node", "ns_op", "<= 40", at_most(40)), ("plait", "limit", "TBB", "Go")),
        threads_row("article's primes, 2 cores", "primes",
                    Figure("speed-up", "speed_up", ">= 1.95", at_least(1.95), higher_is_better=True),
                    everyone, laps=2),
        threads_row("idle pool", "idle", Figure("% of a core", "percent", "0 (<= 0.05)", at_most(0.05)),
                    ("plait", "TBB", "Asio", "Go")),
    ])


# Coroutines

def coroutines_row(work, mode, figures, go=True, more=()):
    long = mode == "sleepers"
    names = {"plait": "coroutines_bench", "limit": "coroutines_limit", "Asio": "coroutines_asio"}
    contenders = [Contender(name, program(of, mode)) for name, of in names.items()]
    if go:
        contenders.append(Contender("Go", program("coroutines_go", mode, workers=1), in_quick=not long))
    contenders += more
    count = " (100,000)" if long else ""
    contenders += [
        Contender("asyncio" + count, script("coroutines.py", mode), False, not long),
        Contender("uvloop" + count, script("coroutines.py", mode, 0, None, "uvloop"), False, not long)]
    return Row(work, contenders, figures)


def nanoseconds(limit):
    return [Figure("ns", "ns_op", f"<= {limit}", at_most(limit))]


def echo_server(depth):
    def echo(command):
        def measure(machine, quick):
            with servers.listening(command(machine)) as (address, pid):
                before = servers.cpu_seconds(pid)
                seconds = machine.size(0.8 if quick else 1.5, 0.05)
                found = machine.run(machine.program("echo_client") + [
                    address.rpartition(":")[2], "100", str(depth), str(seconds)])
                return found | {"server_us": (servers.cpu_seconds(pid) - before) * 1e6 / found["all"]}
        return measure

    return echo


def echo_row(depth, work):
    slow = ("asyncio", "uvloop")
    echo = echo_server(depth)
    contenders = [Contender(name, echo(command), in_quick=depth == 1 or name not in slow) for name, command in {
        "plait": lambda machine: machine.program("net_bench") + ["echo"],
        "raw epoll": lambda machine: machine.program("echo_epoll"),
        "Asio": lambda machine: machine.program("echo_asio"),
        "libuv": lambda machine: machine.program("echo_libuv"),
        "Go": lambda machine: machine.program("echo_go"),
        "asyncio": lambda machine: machine.script("echo.py") + ["0"],
        "uvloop": lambda machine: machine.script("echo.py") + ["0", "uvloop"]}.items()]
    return Row(work, contenders, echo_figures("raw epoll"), limit="raw epoll")


def echo_ring_row(depth, work):
    echo = echo_server(depth)
    return Row(work, [
        Contender("plait", echo(lambda machine: machine.program("net_bench") + ["echo_ring"])),
        Contender("raw io_uring", echo(lambda machine: machine.program("echo_uring")))],
        echo_figures("raw io_uring"), limit="raw io_uring")


def echo_figures(raw):
    return [
        Figure("messages/s", "per_second", f">= 95 % of {raw}",
               lambda ours, medians: ours >= 0.95 * medians[raw], higher_is_better=True),
        # The client may be the slower side, so the same goal again in the server's own CPU time.
        Figure("us of CPU a message", "server_us", f"<= {raw} + 5 %",
               lambda ours, medians: ours <= 1.05 * medians[raw]),
    ]


def coroutines():
    libuv = [Contender("libuv", program("timers_libuv", "timers"))]
    return Section("COROUTINES (one thread)", [
        coroutines_row("await a child that finishes at once", "await_child", nanoseconds(12), go=False),
        coroutines_row("switch between two tasks", "switch", nanoseconds(15)),
        coroutines_row("spawn + join", "spawn_join", nanoseconds(40)),
        coroutines_row("contended semaphore", "sem", nanoseconds(40)),
        coroutines_row("bounded queue, 1 to 3", "chan", nanoseconds(20)),
        coroutines_row("1,000,000 tasks asleep for 1 s", "sleepers", [
            Figure("bytes each", "bytes", "<= 300", at_most(300)),
            Figure("s to wake all", "over_one_second", "<= 0.4", at_most(0.4),
                   unranked=("asyncio (100,000)", "uvloop (100,000)"))]),
        coroutines_row("timer set + cancel", "timers", nanoseconds(25), more=libuv),
        echo_row(1, "TCP echo, 100 connections"),
        echo_row(16, "TCP echo, 16 in flight on each"),
        echo_ring_row(1, "TCP echo on io_uring, 100 connections"),
        echo_ring_row(16, "TCP echo on io_uring, 16 in flight on each"),
    ])


# Processes

def processes_row(work, mode, figures, limit=True, n=0, quick_n=None, python=True):
    contenders = [Contender("plait", program("processes_bench", mode, n, quick_n))]
    if limit:
        contenders.append(Contender("limit", program("processes_limit", mode)))
    if python:
        contenders.append(Contender("Python", script("processes.py", mode), False))
    return Row(work, contenders, figures)


def survivors_row():
    return Row("parent killed by SIGKILL", [
        Contender("plait", lambda machine, _: orphans.survivors(
            machine.program("processes_bench") + ["parent"])),
        Contender("Python", lambda machine, _: orphans.survivors(
            machine.script("processes.py") + ["parent"]), False),
    ], [Figure("alive after 100 ms", "survivors", "0", at_most(0))])


def processes():
    return Section("PROCESSES (2 workers)", [
        processes_row("submit + get, workers awake", "round_trip",
                      [Figure("us", "us", "<= 1.5", at_most(1.5))]),
        processes_row("submit + get, workers asleep", "asleep", [Figure("us", "us", "<= 20", at_most(20))]),
        processes_row("20,000 calls, chunksize 1", "calls",
                      [Figure("calls/s", "per_second", ">= 500,000", at_least(500_000), True)]),
        processes_row("new worker", "start_worker", [Figure("ms", "ms", "<= 0.2", at_most(0.2))]),
        processes_row("pool up with its first result", "start_pool",
                      [Figure("ms", "ms", "<= 5", at_most(5))]),
        processes_row("64 MiB of doubles", "array", [
            Figure("zero copy, ms", "zero_copy_ms", "<= 0.1", at_most(0.1),
                   remarks={"Python": "copies always"}),
            Figure("one copy, times memcpy", "of_memcpy", "<= 1.5", at_most(1.5))]),
        processes_row("crash", "crash", [
            Figure("ms to the error", "error_ms", "<= 2", at_most(2)),
            Figure("ms to the next result", "next_ms", "<= 5", at_most(5),
                   remarks={"Python": "has none: the pool is dead"})]),
        Row("1 % deadly of 20,000, 100 runs (--quick: 5)", [
            Contender("plait", program("processes_bench", "deadly", 100, 5), False),
            Contender("Python (1 of 401)", script("processes.py", "deadly"), False),
        ], [Figure("wrong, lost or twice", "bad", "0", at_most(0))]),
        survivors_row(),
    ])


# HTTP

def client(command, mode, n, concurrency, quick_n=None):
    """A client against a fresh neutral server."""
    def measure(machine, quick):
        size = size_of(machine, mode, n, quick_n, quick)
        with servers.listening(machine.program("http_server")) as (address, _):
            before, after = command(machine)
            return machine.run(before + [mode, size, str(machine.size(concurrency, 10)), address] + after)
    return measure


def compiled(name):
    return lambda machine: (machine.program(name), [])


def python_client(*words):
    return lambda machine: (machine.script("http_client.py"), list(words))


def http_row(work, mode, n, concurrency, figures, python, quick_n=None, slow=()):
    names = {"plait": "http_bench", "limit": "http_epoll", "Beast": "http_beast",
             "libcurl": "http_libcurl", "Go": "http_go"}
    commands = {name: compiled(of) for name, of in names.items()} | python
    return Row(work, [Contender(name, client(command, mode, *sizes(name, n, quick_n, concurrency)),
                                full_rounds=name not in slow, in_quick=name not in slow)
                      for name, command in commands.items()], figures)


def sizes(name, n, quick_n, concurrency):
    """Python's keep-alive clients get a twentieth of the requests: they would take half a minute."""
    if quick_n is not None and name in ("aiohttp", "aiohttp + uvloop", "httpx", "requests"):
        return n // 20, concurrency, quick_n // 20
    return n, concurrency, quick_n


def https_row(work, mode, listens, python):
    """Clients against nginx, which answers all of them in the same way."""
    def measured(name, command):
        requests, quick = (1000, 500) if name in python else (20_000, 5_000)

        def measure(machine, quick_run):
            size = size_of(machine, mode, requests, quick, quick_run)
            with servers.nginx_tls(machine, listens) as (address, _):
                before, after = command(machine)
                return machine.run(before + [mode, size, str(machine.size(100, 10)), address] + after)
        return measure

    commands = {"plait": compiled("http_bench"), "Go": compiled("http_go")}
    commands |= {name: python_client(name) for name in python}
    return Row(work, [Contender(name, measured(name, command)) for name, command in commands.items()],
               [Figure("requests/s", "per_second", ">= Go's",
                       lambda ours, medians: ours >= medians.get("Go", 0), True),
                Figure("us of CPU a request", "cpu_us", "<= Go's",
                       lambda ours, medians: ours <= medians.get("Go", ours))])


def wrk(server):
    def measure(machine, quick):
        if machine.wrk is None:
            raise Missing("wrk is not installed")
        with server(machine) as (address, _):
            done = subprocess.run([machine.wrk, "-t1", "-c100", f"-d{1 if quick else 2}s",
                                   f"http://{address}/get"],
                                  capture_output=True, text=True, timeout=30, check=False)
        rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
        if not rate or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            raise Failed("wrk saw errors: " + " ".join(done.stdout.split()[-30:]))
        return {"per_second": float(rate.group(1))}
    return measure


def server_row():
    def starting(command):
        return lambda machine: servers.listening(command(machine))

    contenders = {"plait": starting(lambda machine: machine.program("http_bench") + ["serve"]),
                  "limit": starting(lambda machine: machine.program("http_server")),
                  "nginx": servers.nginx,
                  "Beast": starting(lambda machine: machine.program("http_server_beast")),
                  "Go": starting(lambda machine: machine.program("http_server_go")),
                  "aiohttp": starting(lambda machine: machine.script("http_server.py") + ["0"])}
    figure = Figure("requests/s", "per_second", ">= nginx's static answer",
                    lambda ours, medians: ours >= medians["nginx"], higher_is_better=True)
    return Row("server: /get under wrk, 1 thread",
               [Contender(name, wrk(server)) for name, server in contenders.items()], [figure])


def http():
    def seconds(limit):
        return Figure("s", "secs", f"<= {limit}", at_most(limit))

    def microseconds(limit):
        return Figure("us of CPU a request", "cpu_us", f"<= {limit}", at_most(limit))

    aiohttp = {"aiohttp": python_client("aiohttp"),
               "aiohttp + uvloop": python_client("aiohttp", "uvloop")}
    httpx = {"httpx": python_client("httpx")}
    requests = {"requests": python_client("requests")}
    blocking = requests | {"urllib": python_client("urllib")}
    slowest = ("libcurl", "aiohttp", "aiohttp + uvloop")
    return Section("HTTP (one thread unless it says otherwise; CPU and memory are the client's)", [
        http_row("10 x delay 1 s on 10 threads", "threads", 10, 10,
                 [seconds(1.01), microseconds(200)], blocking),
        http_row("1,000 x delay 1 s", "delay", 1000, 1000, [seconds(1.1), microseconds(40)],
                 aiohttp | httpx, slow=("httpx",)),
        http_row("10,000 x delay 1 s", "delay", 10_000, 10_000,
                 [seconds(1.4), microseconds(45), Figure("KB each", "kb_each", "<= 5", at_most(5))],
                 aiohttp, slow=slowest),
        http_row("100,000 keep-alive, 100 connections", "keep_alive", 100_000, 100,
                 [Figure("requests/s", "per_second", ">= 100,000", at_least(100_000), True),
                  microseconds(7)], aiohttp | httpx | requests, quick_n=50_000,
                 slow=("httpx", "requests")),
        https_row("20,000 https, 100 connections", "tls", " ssl", ("aiohttp", "httpx")),
        https_row("20,000 HTTP/2, 100 at once on one connection", "h2", " ssl http2", ("httpx",)),
        server_row(),
    ])


# A developer's wait

def startup():
    def hello(engine):
        return Row(f"the least program with {engine}", [
            Contender("plait", developer.hello(engine)),
            Contender("limit", developer.hello("nothing"), False),  # without a library
        ], [Figure("MB stripped", "megabytes", "", None), Figure("MB resident", "resident", "", None)])

    def watched_header(name):
        return Row(f"#include <plait/{name}.hpp> alone", [Contender("plait", developer.header_cost(f"plait/{name}.hpp"))],
                   [Figure("s it adds", "seconds", "", None)])

    def header(name):
        return Row(f"#include <plait/{name}.hpp> alone", [
            Contender("plait", developer.header_cost(f"plait/{name}.hpp")),
            Contender("asio.hpp", developer.asio_cost, False),
        ], [Figure("s it adds", "seconds", "<= 0.5", at_most(0.5))])

    return Section("A DEVELOPER'S WAIT", [
        Row("./test from clean, without ccache",
            [Contender("plait", developer.test_from_clean, False)],
            [Figure("minutes", "minutes", "<= 15 on 2 cores", at_most(15))]),
        header("threads"), header("coroutines"), header("processes"),
        *map(watched_header, ("inspect", "net", "http", "celery", "advise", "plait")),
        *map(hello, ("threads", "coroutines", "processes", "http", "celery")),
        Row("stripped plait tool", [Contender("plait", developer.tool_size, False)],
            [Figure("MB", "megabytes", "<= 5", at_most(5))]),
    ])


# The advisor

def regrets():
    """auto_executor and two fixed widths, all from one run of the program, which takes minutes."""
    runs = {}

    def measured(kind):
        def measure(machine, quick):
            if machine not in runs:
                size, laps = str(machine.size(3000, 20)), "1"
                runs[machine] = machine.run(machine.program("auto_bench") + ["regret", size, "2", laps], timeout=900)
            found = runs[machine]
            return {key: found[key + kind] for key in ("median", "worst") if key + kind in found}
        return measure

    kinds = {"plait": "", "plait, all coroutines": "_awaiting", "plait, all blocking": "_blocking",
             "2 threads": "_two_threads", "64 threads": "_many_threads"}
    ours = ("plait, all coroutines", "plait, all blocking")
    return Row("auto_executor against the best of 17 fixed choices, 13 workloads",
               [Contender(name, measured(kind), False, False) for name, kind in kinds.items()],
               [Figure("median regret, %", "median", "<= 5", at_most(5), unranked=ours),
                Figure("worst regret, %", "worst", "<= 15", at_most(15), unranked=ours)])


def advisor():
    absent = "floor not built yet"
    return Section("ADVISOR", [
        Absent("known programs right", "31 of 31", absent),
        Absent("never seen programs right", ">= 38 of 40", absent),
        Absent("shares within 5 points", "95 % of runs", absent),
        Absent("target slowed by / observer's CPU, %", "<= 1 / <= 1", absent),
        Absent("gain predicted within 20 %", "9 of 10", absent),
        regrets(),
        Row("idle auto_executor", [Contender("plait", program("auto_bench", "idle"))],
            [Figure("% of a core", "percent", "0 (<= 0.05)", at_most(0.05))]),
        Row("submit + get through auto_executor, 1,000,000 empty calls",
            [Contender("plait", program("auto_bench", "submit_get")),
             Contender("plait's thread pool", program("threads_bench", "submit_get"))],
            [Figure("ns a call", "ns_op", "<= 150", at_most(150))]),
    ])


SECTIONS = {"threads": threads, "coroutines": coroutines, "processes": processes, "http": http,
            "startup": startup, "celery": celery, "advisor": advisor}
