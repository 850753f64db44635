#!/usr/bin/env python3
"""Runs the plait tool and checks what it prints, how it ends, and that it leaves nothing running.

  PLAIT=build/release/src/cli/plait tests/cli/run_tool.py [-v] [CLASS]
"""
import ctypes
import json
import os
import pathlib
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
import xml.etree.ElementTree

PLAIT = os.environ["PLAIT"]
LIMIT = 100  # seconds for one run, before the test gives up

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, CAP_SYS_RESOURCE = 1, 24, 24


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run(*arguments, **options):
    """The ended process, with its output as text."""
    return subprocess.run([PLAIT, *arguments], stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
                          text=True, timeout=LIMIT, preexec_fn=options.pop("preexec_fn", die_with_parent), **options)


def descendants(pid):
    """{pid: start time} of everything that `pid` started, and what those started."""
    children = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        children.setdefault(int(fields[1]), []).append((int(folder.name), fields[19]))
    found, left = {}, [pid]
    while left:
        for child, start in children.get(left.pop(), []):
            found[child] = start
            left.append(child)
    return found


def alive(processes):
    """Those of {pid: start time} that still run; a zombie has ended."""
    running = {}
    for pid, start in processes.items():
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[19] == start and fields[0] not in "ZX":
            running[pid] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:80]
    return running


def wait_until(condition, seconds=30):
    """What `condition` gives, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            return value
        time.sleep(0.01)
    return value


class QuickRun(unittest.TestCase):
    """One run, as JSON and as HTML."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "report.html"
            cls.done = run("compare", "--quick", "--json", "--html", str(page))
            cls.html = page.read_text(encoding="utf-8") if page.exists() else ""
        cls.report = json.loads(cls.done.stdout) if cls.done.returncode == 0 else {}
        cls.experiments = {e["id"]: e for w in cls.report.get("workloads", []) for e in w["experiments"]}

    def test_succeeds_and_says_nothing_on_standard_error(self):
        self.assertEqual((self.done.returncode, self.done.stderr), (0, ""))

    def test_schema(self):
        self.assertEqual(self.report["schema"], "plait-compare/1")
        for key in ("version", "seconds", "machine", "limits", "ran", "python", "workloads", "table", "failures"):
            self.assertIn(key, self.report)
        self.assertEqual(set(self.experiments), {"requests-sequential", "requests-threads", "requests-coroutines",
                                                 "primes-sequential", "primes-threads", "primes-processes"})
        for e in self.experiments.values():
            self.assertEqual(set(e), {"id", "title", "ran", "article", "python", "plait", "target", "decision"})
            self.assertGreater(e["article"]["seconds"], 0)
        self.assertEqual(self.report["failures"], [])

    def test_no_request_failed(self):
        for name, count in (("requests-sequential", 10), ("requests-threads", 10), ("requests-coroutines", 1000)):
            self.assertEqual(self.experiments[name]["plait"]["count"], count)
            self.assertEqual(self.experiments[name]["plait"]["failed"], 0)

    def test_figures_make_sense(self):
        seconds = {name: e["plait"]["seconds"] for name, e in self.experiments.items()}
        self.assertGreaterEqual(seconds["requests-sequential"], 2.0, "ten times 0.2 s")
        self.assertGreaterEqual(seconds["requests-threads"], 0.2)
        self.assertLess(seconds["requests-threads"], seconds["requests-sequential"])
        self.assertLess(seconds["requests-coroutines"], 1000 * 0.2)
        # That threads share the primes shows only where a second CPU is free: the benchmarks' matter.
        for name in ("primes-sequential", "primes-threads", "primes-processes"):
            self.assertGreater(self.experiments[name]["plait"]["cpu_seconds"], 0)
            self.assertEqual(self.experiments[name]["plait"]["count"], 6)

    def test_a_quick_run_is_no_target_and_is_never_scaled_up(self):
        self.assertTrue(self.report["ran"]["quick"])
        self.assertEqual(self.report["ran"]["delay_seconds"], 0.2)
        for e in self.experiments.values():
            self.assertIsNone(e["target"]["met"])
            if e["target"]["text"] is not None:
                self.assertIn("quick", e["target"]["why_unchecked"])

    def test_decides_by_what_it_measured(self):
        for name, e in self.experiments.items():
            expected = "CPU" if name.startswith("primes") else "I/O"
            self.assertEqual(e["decision"]["bottleneck"], expected, e)
            self.assertEqual(e["plait"]["cpu_share"] >= 0.5, expected == "CPU")
        self.assertEqual(self.experiments["requests-coroutines"]["decision"]["model"], "coroutines")

    def test_every_cell_that_can_be_a_number_is_one(self):
        rows = {row["id"]: row for row in self.report["table"]}
        for name in ("memory", "held", "start", "switch", "call", "shared_state"):
            for model, cell in rows[name]["plait"].items():
                self.assertGreater(cell["value"] or 0, 0, f"{name} of {model}: {cell}")
        for model in ("threads", "processes"):
            self.assertGreater(rows["gil"]["plait"][model]["value"], 0)
        held = rows["held"]["plait"]
        self.assertTrue(all(cell["note"] for cell in held.values()), "what stopped it, the cap or a limit")

    def test_python_ran_or_says_why_not(self):
        for e in self.experiments.values():
            self.assertTrue(e["python"].get("seconds") or e["python"]["why_not"], e)

    def test_html_is_well_formed_and_needs_nothing_else(self):
        page = xml.etree.ElementTree.fromstring(self.html.removeprefix("<!DOCTYPE html>"))
        self.assertEqual(page.tag, "html")
        self.assertGreaterEqual(len(list(page.iter("svg"))), 4)
        tags = {element.tag for element in page.iter()}
        self.assertFalse(tags & {"script", "link", "img", "iframe", "object"}, tags)
        for element in page.iter():
            self.assertFalse({"src", "href", "srcset"} & set(element.attrib), element.attrib)
        self.assertNotRegex(self.html, r"url\(|@import|https?://")


class PlainText(unittest.TestCase):
    def test_a_pipe_gets_plain_ascii_and_no_python_is_no_failure(self):
        done = run("compare", "--quick", "--python", "none", env=dict(os.environ, TERM="xterm-256color"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.isascii(), [c for c in done.stdout if ord(c) > 127])
        self.assertNotIn("\x1b", done.stdout)
        self.assertIn("Python was not run: --python none", done.stdout)
        self.assertIn("Quick run", done.stdout)
        for feature in ("best for", "the GIL", "memory for one more", "how many at once", "switching to another"):
            self.assertRegex(done.stdout, rf"(?m)^  {feature} ")

    def test_a_broken_python_is_no_failure(self):
        with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as script:
            script.write("#!/bin/sh\necho 'no modules today' >&2\nexit 3\n")
        try:
            os.chmod(script.name, 0o755)
            done = run("compare", "--quick", "--json", "--python", script.name)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("no modules today", json.loads(done.stdout)["python"]["why_not"])
        finally:
            os.unlink(script.name)


class Terminal(unittest.TestCase):
    """On a pseudo-terminal of 100 columns."""

    def on_terminal(self, **environment):
        main, side = pty.openpty()
        import fcntl, struct, termios
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
        variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG")}
        process = subprocess.Popen([PLAIT, "compare", "--quick", "--python", "none"], stdin=side, stdout=side, stderr=side,
                                   env=dict(variables, TERM="xterm-256color", **environment), preexec_fn=die_with_parent)
        os.close(side)
        said = b""
        while True:
            ready, _, _ = select.select([main], [], [], LIMIT)
            try:
                block = os.read(main, 65536) if ready else b""
            except OSError:  # the last one has closed its end
                break
            if not block:
                break
            said += block
        os.close(main)
        self.assertEqual(process.wait(timeout=10), 0)
        return said.decode()

    def test_shows_progress_colour_and_bars_that_fit(self):
        said = self.on_terminal()
        self.assertIn("s of about", said)
        self.assertIn("\x1b[36m", said)
        self.assertIn("█", said)
        self.assertEqual(said.count("\x1b[?25l"), said.count("\x1b[?25h"), "the cursor comes back")
        report = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said[said.rindex("plait compare"):])
        self.assertLessEqual(max(len(line.rstrip()) for line in report.splitlines()), 100)

    def test_no_color_is_respected(self):
        self.assertNotRegex(self.on_terminal(NO_COLOR="1"), r"\x1b\[[0-9;]*m")


class BadInput(unittest.TestCase):
    def refused(self, arguments, *words, status=2, **options):
        done = run(*arguments, **options)
        said = done.stderr
        self.assertEqual(done.returncode, status, said)
        self.assertRegex(said, r"\Aplait: [^\n]+\n\Z", "one line")
        for word in words:
            self.assertIn(word, said)
        self.assertFalse(done.stdout)
        return said

    def test_command_line(self):
        self.refused(["compare", "--colour"], "--colour", "plait compare --help")
        self.refused(["serve", "--port", "many"], "--port", "plait serve --help")
        self.refused(["contrast"], "contrast", "plait --help")
        self.refused([], "plait --help")
        self.refused(["compare", "-n", "0"], "plait compare --help")
        self.refused(["compare", "-n", "-5"], "plait compare --help")

    def test_nobody_listens(self):
        self.refused(["compare", "--url", "http://127.0.0.1:1"], "http://127.0.0.1:1", "refused", "leave --url out")

    def test_a_name_that_does_not_exist(self):
        self.refused(["compare", "--url", "http://no-such-host.invalid"], "no-such-host.invalid")

    def test_not_an_address(self):
        self.refused(["compare", "--url", "ftp://127.0.0.1"], "http://")
        self.refused(["compare", "--url", "http://"], "http://")
        self.refused(["compare", "--url", "http://127.0.0.1:99999"], "99999")

    def test_tls_to_a_server_without(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def answer():
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            threading.Thread(target=answer, daemon=True).start()
            port = server.getsockname()[1]
            self.refused(["compare", "--url", f"https://127.0.0.1:{port}"], f"https://127.0.0.1:{port}")

    def test_a_server_that_hangs_up(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def hang_up():
                for _ in range(2):
                    server.accept()[0].close()
            threading.Thread(target=hang_up, daemon=True).start()
            self.refused(["compare", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"], "start a server")

    def test_too_few_descriptors(self):
        def few():
            die_with_parent()
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE)  # or root would raise the limit again
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
        self.refused(["compare", "--quick", "-n", "500"], "564 open files", "may have 200", "ulimit -n 564", "-n 136",
                     preexec_fn=few)

    def test_too_few_ports(self):
        self.refused(["compare", "-n", "2000000"], "-n 2000000")

    def test_a_file_that_cannot_be_written(self):
        start = time.monotonic()
        self.refused(["compare", "--html", "/no/such/folder/report.html"], "/no/such/folder/report.html", "--html")
        self.assertLess(time.monotonic() - start, 10, "checked before the run")

    def test_standard_output_closed(self):
        def without():
            die_with_parent()
            os.close(1)
        self.refused(["compare", "--quick"], "standard output", preexec_fn=without)

    def test_standard_output_to_nobody(self):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            self.refused(["compare", "--quick"], "standard output", stdout=writer)
            self.refused(["serve", "--port", "0"], "standard output", stdout=writer)
        finally:
            os.close(writer)

    def test_a_full_disk(self):
        with open("/dev/full", "w") as full:
            self.refused(["compare", "--quick", "--python", "none"], "No space left", stdout=full)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refused(["serve", "--port", str(taken.getsockname()[1])], "in use", "--port 0")

    def test_an_address_of_somebody_else(self):
        self.refused(["serve", "--address", "192.0.2.1"], "192.0.2.1")

    def test_a_failed_request_is_a_failed_experiment(self):
        with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
            def refuse_delays():
                while True:
                    try:
                        connection, _ = server.accept()
                    except OSError:
                        return
                    with connection:
                        first = b"/delay/0 " in connection.recv(1000)
                        connection.sendall(b"HTTP/1.1 " + (b"200 OK" if first else b"503 Service Unavailable") +
                                           b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            threading.Thread(target=refuse_delays, daemon=True).start()
            done = run("compare", "--quick", "-n", "20", "--python", "none", "--url",
                       f"http://127.0.0.1:{server.getsockname()[1]}")
            server.shutdown(socket.SHUT_RDWR)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"\Aplait: [^\n]*503[^\n]*\n\Z")
        self.assertIn("FAILED", done.stdout)
        self.assertIn("No figure, so no decision", done.stdout)

    def test_a_server_without_the_routes(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def not_found():
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            threading.Thread(target=not_found, daemon=True).start()
            self.refused(["compare", "--url", f"http://127.0.0.1:{server.getsockname()[1]}"], "404", "httpbin's routes")


class Interruption(unittest.TestCase):
    def started(self):
        """A run with children in it: the server and the first experiments."""
        process = subprocess.Popen([PLAIT, "compare"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=die_with_parent)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        self.assertTrue(wait_until(lambda: len(descendants(process.pid)) >= 3), "it never got going")
        return process, descendants(process.pid)

    def test_ctrl_c_ends_everything(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process, children = self.started()
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
            self.assertEqual((process.returncode, out, err), (130, "", "plait: interrupted\n"))
            self.assertEqual(wait_until(lambda: not alive(children), 5), True, alive(children))

    def test_nothing_outlives_a_killed_tool(self):
        process, children = self.started()
        process.kill()
        process.wait(timeout=10)
        self.assertEqual(wait_until(lambda: not alive(children), 5), True, alive(children))


class Serve(unittest.TestCase):
    def test_says_where_answers_and_ends_in_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = subprocess.Popen([PLAIT, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, preexec_fn=die_with_parent)
            line = server.stdout.readline()
            self.assertRegex(line, r"\Alistening on http://127\.0\.0\.1:\d+\n\Z")
            url = line.split()[-1]
            with urllib.request.urlopen(url + "/get?a=1") as answer:
                self.assertEqual(json.load(answer)["args"], {"a": "1"})
            server.send_signal(number)
            out, err = server.communicate(timeout=10)
            self.assertEqual((server.returncode, out, err), (0, "", ""))

    def test_threads_share_the_port(self):
        server = subprocess.Popen([PLAIT, "serve", "--port", "0", "--threads", "3"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        url = server.stdout.readline().split()[-1]
        for number in range(30):
            with urllib.request.urlopen(f"{url}/get?a={number}") as answer:
                self.assertEqual(json.load(answer)["args"], {"a": str(number)})
        names = set()
        for thread in os.listdir(f"/proc/{server.pid}/task"):
            with open(f"/proc/{server.pid}/task/{thread}/comm") as comm:
                names.add(comm.read().strip())
        self.assertLessEqual({"plait-serve-0", "plait-serve-1", "plait-serve-2"}, names)
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=10)
        self.assertEqual((server.returncode, out, err), (0, "", ""))

    def test_versions_and_help(self):
        self.assertRegex(run("--version").stdout, r"\Aplait \d+\.\d+\.\d+\n\Z")
        for arguments in (["--help"], ["compare", "--help"], ["serve", "--help"]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("Usage:", done.stdout)
        self.assertIn("130 interrupted", run("--help").stdout)


if __name__ == "__main__":
    unittest.main()
