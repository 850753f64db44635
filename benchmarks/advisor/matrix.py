#!/usr/bin/env python3
"""How often `plait advise` is right: programs whose bottleneck is known by construction, in five languages.

  matrix.py PLAIT [--only TEXT] [--duration SECONDS] [--json FILE]

Builds the targets beside it, starts the server that some of them talk to, lets `PLAIT advise --json` watch each,
and prints a line for each: what was said and whether it is right. A verdict of "unsure" is counted apart, neither right
nor wrong. Languages that are not installed are named. Exit 1 if a program could not be watched.
"""
import argparse
import asyncio
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# Language, program, bottlenecks that are right, advice that is right. Where two are given, both are true of the program.
TARGETS = [
    ("python", "sequential_requests", "network", "threads event-loop"),
    ("python", "threaded_requests", "network", "threads event-loop"),
    ("python", "select_one_by_one", "network", "threads event-loop"),
    ("python", "asyncio_requests", "network", "event-loop"),
    ("python", "asyncio_saturated", "cpu gil", "processes"),
    ("python", "asyncio_to_thread_sleep", "sleep", "none"),
    ("python", "gil_pool", "gil", "processes"),
    ("python", "gil_and_requests", "gil mixed", "processes pipeline"),
    ("python", "compress_alone", "cpu", "processes threads"),
    ("python", "compress_two", "cpu", "keep"),
    ("python", "processes_two", "cpu", "keep"),
    ("python", "processes_six", "oversubscribed", "fewer-workers"),
    ("python", "lock_across_sleep", "lock", "shrink-lock"),
    ("python", "lock_across_request", "lock", "shrink-lock"),
    ("python", "fetch_then_compute", "mixed", "pipeline"),
    ("python", "queue_between", "mixed cpu", "pipeline processes"),
    ("python", "synced_writes", "disk", "deeper-io"),
    ("python", "sqlite_commits", "disk mixed", "deeper-io pipeline"),
    ("python", "sleeping_threads", "sleep", "none"),
    ("python", "polls_with_sleep", "sleep idle", "none"),
    ("python", "bursts", "mixed sleep", "pipeline none processes"),
    ("python", "idle_server", "idle", "none"),
    ("python", "computing_children", "cpu", "processes"),
    ("python", "waiting_for_input", "idle", "none"),
    ("c++", "sequential_requests", "network", "threads event-loop"),
    ("c++", "connection_a_request", "network", "threads event-loop"),
    ("c++", "epoll_requests", "network", "event-loop"),
    ("c++", "upload_to_slow_reader", "network", "threads event-loop keep"),
    ("c++", "two_threads", "cpu", "keep"),
    ("c++", "sixteen_threads", "oversubscribed", "fewer-workers"),
    ("c++", "one_thread_in_a_pool", "cpu", "threads"),
    ("c++", "spin_lock", "lock", "shrink-lock"),
    ("c++", "mutex_around_work", "lock", "shrink-lock"),
    ("c++", "queue_behind_producer", "cpu", "threads"),
    ("c++", "memory_bandwidth", "cpu", "keep"),
    ("c++", "direct_reads", "disk", "deeper-io"),
    ("c++", "four_synced_writers", "disk", "deeper-io"),
    ("c++", "timers", "sleep", "none"),
    ("c++", "child_that_computes", "cpu", "threads processes"),
    ("c++", "semaphore_around_request", "lock", "shrink-lock"),
    ("c++", "async_one_by_one", "cpu", "threads"),
    ("c++", "local_server_that_computes", "cpu", "threads processes"),
    ("c++", "idle_pool", "idle", "none"),
    ("c++", "one_thread", "cpu", "threads"),
    ("c++", "barrier_with_a_straggler", "cpu", "threads"),
    ("c++", "requests_and_work", "mixed", "pipeline"),
    ("c++ among spinners", "two_threads", "starved", "keep none fewer-workers"),
    ("go", "sequential_requests", "network", "threads event-loop"),
    ("go", "many_requests", "network", "event-loop threads"),
    ("go", "one_goroutine", "cpu", "threads"),
    ("go", "eight_goroutines", "cpu", "keep"),
    ("go", "mutex_around_work", "lock cpu", "shrink-lock threads"),
    ("go", "synced_writes", "disk mixed", "deeper-io pipeline"),
    ("go", "sleeps", "sleep", "none"),
    ("go", "idle_server", "idle", "none"),
    ("node", "sequential_requests", "network", "event-loop threads"),
    ("node", "many_requests", "network", "event-loop"),
    ("node", "json", "cpu", "processes"),
    ("node", "synced_writes", "disk", "deeper-io"),
    ("node", "timers", "sleep idle", "none"),
    ("node", "key_derivation", "cpu", "keep"),
    ("node", "two_workers", "cpu", "keep"),
    ("node", "idle_server", "idle", "none"),
    ("java", "sequential_requests", "network", "threads event-loop"),
    ("java", "twenty_clients", "network", "threads event-loop"),
    ("java", "one_thread", "cpu", "threads"),
    ("java", "two_threads", "cpu", "keep"),
    ("java", "sixteen_threads", "oversubscribed", "fewer-workers"),
    ("java", "monitor_across_sleep", "lock", "shrink-lock"),
    ("java", "lock_around_work", "lock", "shrink-lock"),
    ("java", "sleeps", "sleep", "none"),
    ("java", "synced_writes", "disk", "deeper-io"),
    ("shell", "while :; do sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; done", "cpu", "processes threads"),
    ("shell", "while :; do dd if=/dev/zero of=scratch-dd bs=4k count=20 oflag=dsync status=none; done", "disk", "deeper-io"),
    ("shell", "yes | xargs -P2 -I{} sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'", "cpu", "keep"),
    ("shell", "yes 0123456789abcdef | gzip -9 > /dev/null", "cpu", "threads processes"),
]


async def answer(reader, writer):
    try:
        while line := await reader.readline():
            if line == b"drip\n":
                while await reader.read(65536):
                    await asyncio.sleep(0.05)
                break
            await asyncio.sleep(int(line) / 1000)
            writer.write(b"done\n")
    except (ConnectionError, ValueError):
        pass
    writer.close()


async def serve():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=65536, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Targets:
    """The targets of each language that is installed, built in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.commands = {"shell": lambda name: ["sh", "-c", name]}
        self.missing = []
        self.add("python", sys.executable, None, [sys.executable, HERE / "targets.py"])
        self.add("c++", "g++", ["g++", "-std=c++20", "-O2", "-pthread", HERE / "targets.cpp", "-o", folder / "cpp"], [folder / "cpp"])
        self.add("go", "go", ["go", "build", "-o", folder / "go", HERE / "targets.go"], [folder / "go"])
        self.add("node", "node", None, ["node", HERE / "targets.js"])
        self.add("java", "javac", ["javac", "-d", folder, HERE / "Targets.java"], ["java", "-cp", folder, "Targets"])
        if "c++" in self.commands:
            self.commands["c++ among spinners"] = self.commands["c++"]

    def add(self, language, compiler, build, run):
        if not shutil.which(compiler):
            self.missing.append(language)
            return
        if build:
            subprocess.run([str(word) for word in build], check=True, cwd=self.folder,
                           env={**os.environ, "GOCACHE": str(self.folder / "cache")})
        self.commands[language] = lambda name: [str(word) for word in run] + [name]


def watch(plait, duration, command, environment, folder):
    """The object that `plait advise --json` prints, or {"error": ...}."""
    run = subprocess.run([plait, "advise", "--json", "--duration", duration, "--", *command], capture_output=True,
                         text=True, timeout=60, env=environment, cwd=folder)
    try:
        return json.loads(run.stdout)
    except ValueError:
        return {"error": f"exit {run.returncode}: {run.stderr.strip()[-200:]}"}


def busy_share():
    """Seconds that the machine's CPUs were busy and in all, since it started."""
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plait")
    parser.add_argument("--only", default="")
    parser.add_argument("--duration", default="4")
    parser.add_argument("--json")
    options = parser.parse_args()
    plait = str(pathlib.Path(options.plait).resolve())
    judged, results = collections.Counter(), []
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = pathlib.Path(name).resolve()
        targets = Targets(folder)
        server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
        environment = {**os.environ, "PORT": server.stdout.readline().strip()}
        try:
            for language, program, bottlenecks, advice in TARGETS:
                if options.only not in f"{language} {program}" or language not in targets.commands:
                    continue
                spinners = [subprocess.Popen([folder / "cpp", "one_thread"]) for _ in range(6)] if "spinners" in language else []
                before = busy_share()
                got = watch(plait, options.duration, targets.commands[language](program), environment, folder)
                after = busy_share()
                for spinner in spinners:
                    spinner.kill()
                    spinner.wait()
                verdict = "ERROR" if "error" in got else "unsure" if got["bottleneck"] == "unsure" else "right" if (
                    got["bottleneck"] in bottlenecks.split() and got["advice"] in advice.split()) else "WRONG"
                judged[verdict] += 1
                results.append({"language": language, "program": program, "verdict": verdict, **got})
                said = got.get("error") or f"{got['bottleneck']} -> {got['advice']}"
                busy = (after[0] - before[0]) / max(1, after[1] - before[1])
                print(f"{verdict:7}{language:12}{program[:34]:35}{said:32}wanted {bottlenecks} -> {advice}  (machine {busy:.0%} busy)",
                      flush=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    if targets.missing:
        print("not installed:", ", ".join(targets.missing))
    print(f"{sum(judged.values())} programs:", ", ".join(f"{count} {verdict}" for verdict, count in judged.most_common()))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))
    return 1 if judged["ERROR"] else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        try:
            asyncio.run(serve())
        except KeyboardInterrupt:
            pass
    else:
        sys.exit(main())
