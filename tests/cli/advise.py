#!/usr/bin/env python3
"""Runs `plait advise` on small programs whose answer is known, and on what cannot be observed.

  PLAIT=.../plait ADVISED=.../advised_program tests/cli/advise.py [-v] [CLASS]

The machine may be busy: a program that wants to compute may rightly be told that others have its CPU.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PLAIT, ADVISED = os.environ["PLAIT"], os.environ["ADVISED"]
LIMIT = 60  # seconds for one run, before the test gives up
KEYS = {"bottleneck", "advice", "width", "speedup", "shares", "cores", "evidence"}


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Advise(unittest.TestCase):
    def plait(self, *arguments, **options):
        return subprocess.run([PLAIT, "advise", *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT,
                              stdin=subprocess.DEVNULL, **options)

    def report(self, *arguments, seconds=1.5):
        done = self.plait("--json", "--duration", seconds, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)  # one object and nothing beside it
        self.assertLessEqual(KEYS, set(report))
        self.assertEqual(len(report["speedup"]), 2)
        return report

    def answer(self, allowed, *command, seconds=1.5):
        report = self.report("--", *command, seconds=seconds)
        self.assertIn((report["bottleneck"], report["advice"]), allowed, json.dumps(report, indent=1))
        return report

    def start(self, *command, **options):
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **options)
        self.addCleanup(lambda: (program.kill(), program.wait(), program.stdout and program.stdout.close()))
        return program

    def refused(self, *arguments):
        done = self.plait(*arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aplait: [^\n]+\n\Z")
        return done.stderr


class Answers(Advise):
    def test_a_program_that_computes(self):
        report = self.answer([("cpu", "threads"), ("starved", "keep")], ADVISED, "compute")
        self.assertGreater(report["cores_wanted"], 0.5)

    def test_python_that_computes_wants_processes(self):
        self.answer([("cpu", "processes"), ("starved", "keep")], sys.executable, "-c",
                    "x = 0\nwhile True: x += 1", seconds=2)

    def test_threads_that_share_the_interpreter(self):
        code = "import threading\ndef f():\n x = 0\n while True: x += 1\nfor i in range(4): threading.Thread(target=f).start()"
        report = self.answer([("gil", "processes")], sys.executable, "-c", code, seconds=2)
        self.assertGreater(report["shares"]["gil"], 1)

    def test_threads_that_want_one_mutex(self):
        report = self.answer([("lock", "shrink-lock")], ADVISED, "lock")
        self.assertGreater(report["shares"]["lock"], 0.5)

    def test_a_wait_for_answers(self):
        server = self.start(ADVISED, "serve", stdout=subprocess.PIPE)
        port = server.stdout.readline().strip()
        report = self.answer([("network", "threads")], ADVISED, "ask", port)
        self.assertTrue(any("127.0.0.1:" + port in line for line in report["evidence"]), report["evidence"])
        self.assertGreater(report["speedup"][1], 2)

    def test_a_wait_for_clients_is_idleness(self):
        server = self.start(ADVISED, "serve", stdout=subprocess.PIPE)
        server.stdout.readline()
        report = self.report("--pid", server.pid)
        self.assertEqual((report["bottleneck"], report["advice"]), ("idle", "none"))
        self.assertTrue(alive(server.pid))

    def test_a_file_that_is_forced_to_the_disk(self):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            # A file system in memory has nothing to wait for: then it is computing in the kernel.
            self.answer([("disk", "deeper-io"), ("cpu", "threads"), ("starved", "keep")], ADVISED, "sync", f"{folder}/file")

    def test_a_sleeper(self):
        report = self.answer([("sleep", "none")], sys.executable, "-S", "-c", "import time\nwhile True: time.sleep(.02)")
        self.assertGreater(report["shares"]["sleep"], 0.5 * report["seconds"])


class Programs(Advise):
    def test_one_that_ends_is_seen_to_its_end(self):
        report = self.report("--", sys.executable, "-S", "-c", "import time\nfor i in range(20): time.sleep(.03)", seconds=30)
        self.assertEqual(report["ended"], "program ended")
        self.assertLess(report["seconds"], 25)
        self.assertEqual(report["bottleneck"], "sleep")

    def test_of_one_that_ends_at_once_nothing_is_claimed(self):
        report = self.report("--", "true")
        self.assertEqual((report["bottleneck"], report["advice"]), ("unsure", "none"))

    def test_what_it_says_is_not_in_the_report(self):
        done = self.plait("--json", "--duration", 0.3, "--", "sh", "-c", "echo to stdout; echo to stderr >&2; sleep 5")
        json.loads(done.stdout)
        self.assertEqual(sorted(done.stderr.split("\n")), ["", "to stderr", "to stdout"])

    def test_all_that_it_started_ends_with_it(self):
        with tempfile.TemporaryDirectory() as folder:
            code = f"echo $$ > {folder}/a; (setsid sh -c 'trap \"\" TERM; echo $$ > {folder}/b; while :; do sleep 1; done' &) ; sleep 100"
            self.report("--", "sh", "-c", code, seconds=1)
            pids = [int(pathlib.Path(folder, name).read_text()) for name in "ab"]
            self.assertFalse(any(map(alive, pids)))

    def test_keep_running(self):
        with tempfile.TemporaryDirectory() as folder:
            self.report("--keep-running", "--", "sh", "-c", f"echo $$ > {folder}/a; exec sleep 60 >/dev/null 2>&1", seconds=0.5)
            pid = int(pathlib.Path(folder, "a").read_text())
            self.assertTrue(alive(pid))
            os.kill(pid, signal.SIGKILL)

    def test_predictions_are_tried(self):
        server = self.start(ADVISED, "serve", stdout=subprocess.PIPE)
        port = server.stdout.readline().strip()
        report = self.report("--verify", "--", "sh", "-c",
                             f"for i in $(seq {{width}}); do {ADVISED} ask {port} & done; wait", seconds=0.8)
        self.assertEqual([row["width"] for row in report["verified"]][:2], [2, 4])
        self.assertGreater(report["verified"][1]["measured"], 1.5)  # of the four that were predicted

    def test_a_stop_keeps_what_was_seen(self):
        program = subprocess.Popen([PLAIT, "advise", "--json", "--duration", "60", "--", "sleep", "100"], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + LIMIT
        children = pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children")
        while not children.read_text().split() and time.monotonic() < deadline:
            time.sleep(0.02)
        child = int(children.read_text().split()[0])
        program.send_signal(signal.SIGINT)
        out, _ = program.communicate(timeout=LIMIT)
        self.assertEqual(program.returncode, 130)
        self.assertEqual(json.loads(out)["ended"], "stopped")
        self.assertFalse(alive(child))

    def test_ten_lines_for_a_person_and_a_page(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "page.html")
            done = self.plait("--duration", 0.8, "--html", page, "--", "sleep", "100")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"(?s)\Aplait advise: sleep 100.*ANSWER +sleep: .*DO +none.*TIME +sleep \d+ %.*TRUST")
            self.assertLess(done.stdout.count("\n"), 16)
            self.assertIn("<svg", page.read_text())
            self.assertNotRegex(page.read_text(), r"(?:src|href)=")


class Refusals(Advise):
    def test_a_program_that_is_not_there(self):
        self.assertIn("cannot start /no/such/program", self.refused("--", "/no/such/program"))

    def test_a_process_that_is_not_there(self):
        program = subprocess.Popen(["true"])
        program.wait()
        self.assertIn("no process", self.refused("--pid", program.pid))

    def test_neither_and_both(self):
        self.assertIn("either", self.refused())
        self.assertIn("either", self.refused("--pid", os.getpid(), "--", "true"))
        self.assertIn("{width}", self.refused("--verify", "--", "true"))

    def test_a_page_that_cannot_be_written(self):
        self.assertIn("cannot write", self.refused("--html", "/no/such/folder/page.html", "--", "true"))

    @unittest.skipIf(os.getuid() != 0, "needs a process of somebody else")
    def test_of_what_is_hidden_nothing_is_claimed(self):
        program = self.start("sleep", "100")
        with tempfile.TemporaryDirectory() as folder:
            tool = shutil.copy(PLAIT, folder)
            os.chmod(folder, 0o755)
            done = subprocess.run([tool, "advise", "--json", "--duration", "0.5", "--pid", str(program.pid)], user=65534,
                                  capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL, cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["bottleneck"], "unsure")
        self.assertTrue(any("hidden" in line for line in report["evidence"]), report["evidence"])
        self.assertTrue(alive(program.pid))


if __name__ == "__main__":
    unittest.main()
