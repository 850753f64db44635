#!/usr/bin/env python3
"""Runs the programs of examples/ and checks what they print and, loosely, how long they take.

  PLAIT=build/release/src/cli/plait EXAMPLES=build/release/examples tests/examples/run_examples.py [-v] [CLASS]

AgainstTheEmbeddedServer starts `plait serve`, AgainstHttpbin Debian's httpbin in one gunicorn worker of gevent;
both on a free port of the loopback interface, both ended by their process id, whatever happens here.
"""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PLAIT = os.path.abspath(os.environ["PLAIT"])
EXAMPLES = pathlib.Path(os.environ["EXAMPLES"]).resolve()
REFUSED = "http://127.0.0.1:1/refused"  # nobody listens on port 1


def die_with_parent():
    """In the child: end when this script does, even if ctest kills it."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """A server's process, from its first line that names an address to its end."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=die_with_parent
        )
        said = []
        for line in self.process.stdout:
            said.append(line)
            address = re.search(r"listening (?:on|at):? (http://127\.0\.0\.1:\d+)", line, re.IGNORECASE)
            if address:
                self.url = address[1]
                break
        else:
            raise RuntimeError(f"{command[0]} ended with {self.process.wait()} and never listened: {''.join(said)}")
        self.reader = threading.Thread(target=self.process.stdout.read)  # so that its pipe never fills
        self.reader.start()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=30)
        self.reader.join()
        self.process.stdout.close()
        return code


def run(name, *arguments, folder=None):
    """One example's output and its time in seconds. An exit status other than 0 is an error."""
    start = time.monotonic()
    done = subprocess.run(
        [str(EXAMPLES / f"example_{name}"), *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, preexec_fn=die_with_parent,
    )
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise AssertionError(f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout, seconds


class AgainstAServer:
    """What holds against any server that speaks httpbin."""

    PAGES = 100

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.COMMAND)
        cls.url = cls.server.url

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_threads_fetch_is_ten_times_faster_on_ten_threads(self):
        output, _ = run("threads_fetch", f"{self.url}/delay/1")
        times = [float(seconds) for seconds in re.findall(r"^10 responses in ([\d.e+-]+) s$", output, re.MULTILINE)]
        self.assertEqual(len(times), 2, output)
        self.assertTrue(10.0 <= times[0] < 15.0, output)
        self.assertTrue(1.0 <= times[1] < 3.0, output)

    def test_threads_download_writes_every_file(self):
        with tempfile.TemporaryDirectory() as folder:
            sizes = [1000, 20, 3000]
            output, _ = run("threads_download", *(f"{self.url}/bytes/{n}" for n in sizes), folder=folder)
            lines = output.splitlines()
            self.assertEqual(lines[:3], [f'"{n}"' for n in sizes], "map() keeps the order")
            self.assertEqual(sorted(lines[3:]), sorted(f'Downloaded: "{n}"' for n in sizes))
            for n in sizes:
                self.assertEqual((pathlib.Path(folder) / str(n)).stat().st_size, n)

    def test_threads_download_says_what_failed(self):
        with tempfile.TemporaryDirectory() as folder:
            missing = f"{self.url}/status/404"
            output, _ = run("threads_download", f"{self.url}/bytes/10", missing, REFUSED, folder=folder)
            lines = output.splitlines()
            self.assertEqual(lines[0], '"10"')
            self.assertRegex(lines[1], r"^map stopped at the first failure: .*404")
            self.assertIn('Downloaded: "10"', lines[2:])
            self.assertRegex(output, rf"(?m)(^|: )Failed {re.escape(missing)}: .*404")
            self.assertRegex(output, rf"(?m)(^|: )Failed {re.escape(REFUSED)}: .*refused")

    def test_coroutines_fetch_all_waits_once_for_all(self):
        output, seconds = run("coroutines_fetch_all", f"{self.url}/delay/1", str(self.PAGES))
        self.assertEqual(output, f"{self.PAGES} pages\n")
        self.assertTrue(1.0 <= seconds < 10.0, seconds)

    def test_coroutines_limit_and_timeout_bounds_both(self):
        # 60 seconds of waiting, at most 50 at once: two rounds. The last one outlasts its timeout of 5 s.
        urls = [f"{self.url}/bytes/17"] + [f"{self.url}/delay/1"] * 60 + [f"{self.url}/delay/9"]
        output, seconds = run("coroutines_limit_and_timeout", *urls)
        sizes = [int(line) for line in output.splitlines()]
        self.assertEqual(len(sizes), len(urls))
        self.assertEqual(sizes[0], 17)
        self.assertTrue(all(size > 0 for size in sizes[:-1]), sizes)
        self.assertEqual(sizes[-1], 0)
        self.assertTrue(6.0 <= seconds < 9.0, f"{seconds} s: a round of 1 s, then the timeout of 5 s")

    def test_pipelines_io_and_cpu_sums_each_page(self):
        output, _ = run("pipelines_io_and_cpu", f"{self.url}/bytes/1000", f"{self.url}/status/200")
        lines = output.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"^[0-9a-f]+$")
        self.assertEqual(lines[1], "1505", "the checksum of an empty page is its seed, 5381")


class AgainstTheEmbeddedServer(AgainstAServer, unittest.TestCase):
    COMMAND = [PLAIT, "serve", "--port", "0"]
    PAGES = 1000


class AgainstHttpbin(AgainstAServer, unittest.TestCase):
    COMMAND = [shutil.which("gunicorn", path="/usr/bin") or "/usr/bin/gunicorn",
               "-k", "gevent", "--workers", "1", "--graceful-timeout", "2", "httpbin:app", "-b", "127.0.0.1:0"]


class WithoutAServer(unittest.TestCase):
    def test_celery_background_tasks_come_back_from_a_worker(self):
        with tempfile.TemporaryDirectory() as folder:
            url = "sqlite:" + os.path.join(folder, "jobs.db")
            program = str(EXAMPLES / "example_celery_background_tasks")
            worker = subprocess.Popen([program, "worker", url], stderr=subprocess.PIPE, preexec_fn=die_with_parent)
            try:
                output, _ = run("celery_background_tasks", "send", url)
                self.assertEqual(output, "5\nValueError: name is empty\n")
            finally:
                worker.terminate()
                worker.communicate(timeout=30)
            self.assertEqual(worker.returncode, 0)

    def test_threads_parallel_for_fills_adds_up_and_fails(self):
        output, _ = run("threads_parallel_for")
        self.assertEqual(output.splitlines(), ["90000", "3.33328e+14", "the last one was out of range"])

    def test_coroutines_task_group_tells_of_every_end(self):
        output, _ = run("coroutines_task_group")
        self.assertEqual(output, "answer of first, answer of second\nno route to broken\nanswer of near\n"
                                 "no answer in time\ngoodbye\n")

    def test_coroutines_generator_gives_names_until_enough_is_enough(self):
        output, _ = run("coroutines_generator")
        self.assertEqual(output, "ash\nbirch\ncedar\n")

    def test_coroutines_queue_hands_every_item_to_somebody(self):
        output, _ = run("coroutines_queue")
        handled = dict(re.findall(r"^(worker-[123]) handled (\d+)$", output, re.MULTILINE))
        self.assertEqual(len(handled), 3, output)
        self.assertEqual(sum(map(int, handled.values())), 100, output)

    def test_coroutines_commands_reports_each_command_and_kills_the_one_that_hangs(self):
        output, seconds = run("coroutines_commands")
        self.assertEqual(
            output,
            "echo 'no shell' 'reads $THIS': exit code 0\nno shell reads $THIS\n"
            "sort -n: exit code 0\n"
            "sh -c 'echo to standard error >&2; exit 3': exit code 3\nto standard error\n"
            "sleep 1000: killed after 50 ms\n",
        )
        self.assertLess(seconds, 30)

    def test_coroutines_many_loops_share_a_port(self):
        output, _ = run("coroutines_many_loops")
        self.assertEqual(output, "200 answers of 4 different loops\n")

    def test_http_web_server_answers_its_visitor(self):
        output, _ = run("http_web_server")
        self.assertEqual(
            output,
            "/sums/10: 200 285\n"
            "/sums/ten: 404 There is no such page: {n} must be a whole number.\n"
            "/sums/-1: 422 n is from 0 to 1000000\n"
            "/nowhere: 404 There is no such page.\n"
            "/countdown: 200 data: 3\n\ndata: 2\n\ndata: 1\n\n"
            "/upload: 5000000 bytes from example\n",
        )

    def test_processes_shared_array_is_filled_by_two_and_read_by_a_third(self):
        output, _ = run("processes_shared_array")
        self.assertEqual(output, "2e+06\n")

    def test_processes_untrusted_parser_survives_every_file(self):
        output, seconds = run("processes_untrusted_parser")
        said = dict(line.split(maxsplit=1) for line in output.splitlines())
        self.assertRegex(said.pop("overrun.plim"), r"^crashed: SIGSEGV in .+")
        self.assertEqual(said, {
            "holiday.plim": "640 x 480 pixels",
            "text.plim": "refused: this is not a PLIM file",
            "cut.plim": "refused: the file is cut",
            "endless.plim": "took too long and was stopped",
            "huge.plim": "refused: std::bad_alloc",
            "steal.plim": "refused: open /etc/passwd: Operation not permitted",
            "phone_home.plim": "refused: open a socket: Operation not permitted",
            "kill.plim": "refused: kill the parent: Operation not permitted",
            "multiply.plim": "refused: fork: Operation not permitted after 0 copies",
            "garden.plim": "320 x 200 pixels",
        })
        self.assertLess(seconds, 30)

    def test_coroutines_echo_says_everything_again(self):
        output, seconds = run("coroutines_echo")
        self.assertEqual(output, "one two three\nin pieces\n")
        self.assertLess(seconds, 30)

    def test_coroutines_tls_client_speaks_with_openssl_and_trusts_nobody_by_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", "key.pem", "-out", "cert.pem", "-days", "1", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=IP:127.0.0.1"],
                cwd=folder, check=True, stderr=subprocess.DEVNULL,
            )
            server = subprocess.Popen(
                ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem", "-rev"],
                cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=die_with_parent,
            )
            try:
                for line in server.stdout:
                    if line.startswith("ACCEPT "):
                        port = line.strip().rpartition(":")[2]
                        break
                output, _ = run("coroutines_tls_client", "127.0.0.1", port, "hello", f"{folder}/cert.pem")
                self.assertEqual(output, "olleh\n")
                output, _ = run("coroutines_tls_client", "127.0.0.1", port, "hello")
                self.assertIn("signed by nobody who is trusted here", output)
            finally:
                server.terminate()
                server.wait(timeout=30)
                server.stdout.close()

    def test_advise_recommend_has_an_answer_for_each_row(self):
        output, _ = run("advise_recommend")
        models = re.findall(r"^  C\+\+: +([a-z ]+), \d+ at once", output, re.MULTILINE)
        self.assertEqual(models, ["threads", "event loop", "threads", "event loop", "background tasks", "pipeline"])
        self.assertIn("  Python: processes, 4 at once", output)

    def test_advise_auto_executor_tells_waiting_from_computing(self):
        output, _ = run("advise_auto_executor")
        waits, computes = output.splitlines()
        self.assertRegex(waits, r"^400 blocking calls: the bottleneck is I/O\b.* from \d+; known after \d+ call")
        self.assertRegex(computes, r"^400 blocking calls: the bottleneck is CPU\b")
        self.assertGreater(int(re.search(r"Chosen: (\d+) threads", waits)[1]), 16)

    def test_processes_primes_loses_only_the_task_that_crashed(self):
        output, _ = run("processes_primes")
        lines = output.splitlines()
        self.assertEqual(lines[0], "true", "threads and processes agree")
        self.assertRegex("\n".join(lines[1:-1]), r"SIGABRT|signal 6|[Aa]bort")
        self.assertEqual(lines[-1], "false", "the healthy task has its result: 1099726899285419 is not prime")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that tearDownClass runs
    unittest.main()
