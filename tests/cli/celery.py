#!/usr/bin/env python3
"""Runs `plait worker` and `plait queue` on a SQLite broker, and on Redis with Debian's Celery as the client.

  PLAIT=.../plait TASKS=.../libexample_task_library.so tests/cli/celery.py [-v] [CLASS]
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PLAIT, TASKS = os.environ["PLAIT"], os.environ["TASKS"]
LIMIT = 60  # seconds for one run, before the test gives up
CLIENT = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1], backend=sys.argv[1])
print(app.send_task("texts.count", ("one two three",)).get(timeout=30))
print(app.send_task("texts.remind", ("tea", 0.01)).get(timeout=30))
try:
    app.send_task("texts.count", ("",)).get(timeout=30)
except ValueError as error:
    print("ValueError", error)
print(sorted(app.control.inspect(timeout=2).ping()))
"""


RECEIVER = """
import json, sys, threading
from celery import Celery
app = Celery(broker=sys.argv[1], backend=sys.argv[1])
ready = threading.Event()

def calls():
    ready.wait(30)
    app.send_task("texts.count", ("a b",)).get(timeout=30)
    try:
        app.send_task("texts.count", ("",)).get(timeout=30)
    except ValueError:
        pass

seen = set()
def hear(event):
    if event["type"] == "worker-online" or event["type"] == "task-sent":
        return
    print(json.dumps(event), flush=True)
    seen.add(event["type"])
    ready.set()
    if {"worker-heartbeat", "task-succeeded", "task-failed"} <= seen:
        receiver.should_stop = True

with app.connection() as connection:
    receiver = app.events.Receiver(connection, handlers={"*": hear})
    threading.Thread(target=calls, daemon=True).start()
    receiver.capture(limit=None, timeout=30, wakeup=True)
"""


class Fleet(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.broker = f"sqlite:{folder.name}/jobs.db"

    def plait(self, *arguments):
        return subprocess.run([PLAIT, *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT, check=False)

    def shown(self, *arguments):
        done = self.plait(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, status, *arguments):
        done = self.plait(*arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertRegex(done.stderr, r"\Aplait: [^\n]+\n\Z")
        return done.stderr

    def queue(self, *arguments):
        return json.loads(self.shown("queue", "--broker", self.broker, "--json", "--patience", "0.5", *arguments))

    def start_worker(self, *arguments):
        worker = subprocess.Popen([PLAIT, "worker", TASKS, "--broker", self.broker, "-c", "1", *arguments],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, worker)
        banner = ""
        while "texts.remind" not in banner:
            line = worker.stdout.readline()
            self.assertTrue(line, banner)
            banner += line
        self.assertIn("1 ", worker.stderr.readline())  # "plait worker NAME: 1 processes, 2 tasks"
        worker.banner = banner
        return worker

    def end(self, worker):
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
            worker.wait(LIMIT)
        worker.stdout.close()
        worker.stderr.close()


class Worker(Fleet):
    def test_it_says_what_it_does_and_ends_in_order(self):
        worker = self.start_worker("-n", "first@here", "-Q", "one,two")
        self.assertRegex(worker.banner, r"broker +sqlite:/")
        self.assertRegex(worker.banner, r"queues +one, two\n")
        listed = self.queue("workers")
        self.assertEqual([(w["worker"], w["concurrency"], w["queues"]) for w in listed], [("first@here", 1, "one,two")])
        self.assertEqual([q["queue"] for q in self.queue()["queues"]], ["celery", "one", "two"])
        worker.send_signal(signal.SIGTERM)
        self.assertEqual(worker.wait(LIMIT), 0)

    def test_bad_input(self):
        self.assertIn("there is no file nothere.so", self.refused(2, "worker", "nothere.so", "--broker", self.broker))
        text = self.folder / "text.so"
        text.write_text("no library", encoding="ascii")
        self.assertIn("cannot be loaded", self.refused(2, "worker", text, "--broker", self.broker))
        self.assertIn("PLAIT_CELERY_TASKS", self.refused(2, "worker", "/lib/x86_64-linux-gnu/libc.so.6", "--broker", self.broker))
        self.assertIn("broker", self.refused(2, "worker", TASKS, "--broker", "nothing:x"))
        self.assertIn("--broker", self.refused(2, "worker", TASKS))

    def test_a_password_is_not_shown(self):
        done = self.plait("worker", TASKS, "--broker", "redis://:pa/ss@127.0.0.1:1/0")
        self.assertNotIn("pa/ss", done.stdout)
        self.assertIn("redis://:***@127.0.0.1:1/0", done.stdout)
        self.assertEqual(done.returncode, 1)


class Queue(Fleet):
    def test_nothing_is_said_to_be_nothing(self):
        self.assertIn("no worker answered", self.shown("queue", "--broker", self.broker, "--patience", "0.1"))
        self.assertEqual(self.shown("queue", "dead", "--broker", self.broker, "--patience", "0.1"), "no call has died\n")
        self.assertEqual(self.queue("running"), [])

    def test_bad_input(self):
        self.assertIn("ids of dead calls", self.refused(2, "queue", "retry", "--broker", self.broker))
        self.assertIn("not for list", self.refused(2, "queue", "list", "x", "--broker", self.broker))
        self.assertIn("no dead call is named x",
                      self.refused(1, "queue", "drop", "x", "--broker", self.broker, "--patience", "0.1"))
        self.assertIn("127.0.0.1:1", self.refused(1, "queue", "--broker", "redis://127.0.0.1:1/0"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Redis(Fleet):
    def setUp(self):
        super().setUp()
        port = free_port()
        self.broker = f"redis://127.0.0.1:{port}/0"
        server = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                   "--dir", str(self.folder)], stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.terminate(), server.wait(LIMIT)))
        for _ in range(500):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.01)
        self.port = port

    def send_raw(self, text):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall(b"*3\r\n$5\r\nLPUSH\r\n$6\r\ncelery\r\n$%d\r\n%s\r\n" % (len(text), text))
            self.assertEqual(line.recv(10)[:1], b":")

    def test_debians_celery_is_served(self):
        self.start_worker("-n", "cpp@here")
        done = subprocess.run(["/usr/bin/python3", "-c", CLIENT, self.broker], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertEqual(done.stdout.splitlines(), ["3", "time for tea", "ValueError there is no text", "['cpp@here']"],
                         done.stderr)
        self.assertEqual(self.queue("workers")[0]["done"], 3)

    def test_celerys_receiver_hears_each_call(self):
        worker = self.start_worker("-n", "cpp@here", "-E")
        done = subprocess.run(["/usr/bin/python3", "-c", RECEIVER, self.broker], capture_output=True, text=True,
                              timeout=LIMIT, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        of = {}
        for event in events:
            self.assertEqual(event["hostname"], "cpp@here")
            self.assertEqual(event["utcoffset"], time.altzone // 3600 if time.localtime().tm_isdst else time.timezone // 3600)
            of.setdefault(event["type"], event)
        self.assertEqual(set(of), {"worker-heartbeat", "task-received", "task-started", "task-succeeded", "task-failed"})
        received = of["task-received"]
        self.assertEqual((received["name"], received["args"], received["kwargs"], received["retries"], received["eta"]),
                         ("texts.count", "('a b',)", "{}", 0, None))
        self.assertEqual(of["task-succeeded"]["result"], "2")
        self.assertLess(of["task-succeeded"]["runtime"], LIMIT)
        self.assertEqual(of["task-failed"]["exception"], "ValueError('there is no text')")
        self.assertEqual({received["uuid"]}, {of[t]["uuid"] for t in ("task-started", "task-succeeded")})
        beat = of["worker-heartbeat"]
        self.assertEqual((beat["freq"], beat["sw_ident"], beat["pid"]), (2.0, "plait", worker.pid))

    def test_dead_calls_are_shown_retried_and_dropped(self):
        self.start_worker()
        self.send_raw(b"no message at all")
        deadline = time.monotonic() + LIMIT
        while not (dead := self.queue("dead")) and time.monotonic() < deadline:
            pass
        self.assertEqual(len(dead), 1)
        self.assertEqual(dead[0]["message"], "no message at all")
        self.assertEqual(self.queue("retry", dead[0]["dead"]), {"retried": 1, "unknown": []})
        while (again := self.queue("dead")) in ([], dead) and time.monotonic() < deadline:
            pass
        self.assertEqual(self.queue("drop", "--all"), {"dropped": 1, "unknown": []})
        self.assertEqual(self.queue("dead"), [], again)


if __name__ == "__main__":
    sys.exit(unittest.main())
