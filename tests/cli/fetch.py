#!/usr/bin/env python3
"""Runs `plait fetch` against a real nginx and looks at what it keeps, says and leaves.

  PLAIT=build/release/src/cli/plait tests/cli/fetch.py [-v] [CLASS]
"""
import ctypes
import gzip
import hashlib
import json
import os
import pathlib
import pty
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

PLAIT = os.path.abspath(os.environ["PLAIT"])
LIMIT = 100  # seconds for one run, before the test gives up

CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  log_format short '$status $request_uri $http_range';
  access_log {folder}/access.log short;
  gzip_static on; keepalive_requests 100000;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    root {folder}/site;
    location /slow/ {{ limit_rate 2m; }}
    location /busy/ {{ return 503; }}
    location /away/ {{ return 302 /page/0; }}
    location /unversioned/ {{ etag off; add_header Last-Modified ""; limit_rate 2m; }}
  }}
}}
"""


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Web:
    """nginx over a folder of files, on free ports, until stop()."""

    PAGES = 400

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="plait-fetch-")
        self.folder = pathlib.Path(self.temporary.name)
        self.site = self.folder / "site"
        for name in ("page", "slow", "unversioned"):
            (self.site / name).mkdir(parents=True)
        random.seed(6)
        for i in range(self.PAGES):
            (self.site / "page" / str(i)).write_bytes(random.randbytes(random.choice([0, 10, 3000, 70000])))
        for name in ("slow", "unversioned"):
            (self.site / name / "large").write_bytes(random.randbytes(8_000_000))
        self.key_and_certificate()
        self.plain, self.tls = free_port(), free_port()
        (self.folder / "nginx.conf").write_text(
            CONFIGURATION.format(folder=self.folder, plain=self.plain, tls=self.tls))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([nginx, "-c", str(self.folder / "nginx.conf"), "-e", str(self.folder / "e")],
                                        preexec_fn=die_with_parent)
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.plain), 1).close()
                break
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise RuntimeError("nginx does not listen: " + (self.folder / "e").read_text())
                time.sleep(0.02)
        self.url = f"http://127.0.0.1:{self.plain}"
        self.safe_url = f"https://localhost:{self.tls}"

    def key_and_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", str(self.folder / "server.key"), "-out", str(self.folder / "server.pem"), "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                       check=True, capture_output=True)

    def log(self):
        return (self.folder / "access.log").read_text().splitlines()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.temporary.cleanup()


class WithWeb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.web = Web()

    @classmethod
    def tearDownClass(cls):
        cls.web.stop()

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="plait-fetch-")
        self.here = pathlib.Path(self.temporary.name)

    def tearDown(self):
        self.temporary.cleanup()

    def run_fetch(self, *arguments, **options):
        return subprocess.run([PLAIT, "fetch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT, preexec_fn=options.pop("preexec_fn", die_with_parent), cwd=self.here,
                              **options)

    def start_fetch(self, *arguments):
        return subprocess.Popen([PLAIT, "fetch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=die_with_parent, cwd=self.here)

    def stored(self, folder="out"):
        """{target: bytes} of everything that is complete, by names that can be read back."""
        found = {}
        for file in (self.here / folder).rglob("*"):
            if file.is_file() and file.suffix not in (".part", ".version"):
                found["/" + urllib.parse.unquote(file.name)] = file.read_bytes()
        return found

    def pages(self, numbers):
        return {f"/page/{i}": (self.web.site / "page" / str(i)).read_bytes() for i in numbers}


class Records(WithWeb):
    def test_a_line_of_json_for_each_url(self):
        body = (self.web.site / "page" / "2").read_bytes()
        result = self.run_fetch(f"{self.web.url}/page/2", f"{self.web.url}/none", "http://127.0.0.1:1/", "gopher://x")
        self.assertEqual(result.returncode, 1)
        lines = {r["url"]: r for r in map(json.loads, result.stdout.splitlines())}
        good = lines[f"{self.web.url}/page/2"]
        self.assertEqual((good["status"], good["bytes"], good["error"]), (200, len(body), None))
        self.assertEqual(good["sha256"], hashlib.sha256(body).hexdigest())
        self.assertGreater(good["seconds"], 0)
        self.assertEqual(lines[f"{self.web.url}/none"]["error"], "HTTP 404 Not Found")
        self.assertEqual(lines[f"{self.web.url}/none"]["status"], 404)
        self.assertIn("refused", lines["http://127.0.0.1:1/"]["error"])
        self.assertIn("gopher", lines["gopher://x"]["error"])
        self.assertIn("Fetched 1 of 4 URLs", result.stderr)
        self.assertIn("HTTP 404 Not Found", result.stderr)

    def test_redirects_say_where_they_led(self):
        result = self.run_fetch("-q", f"{self.web.url}/away/1")
        record = json.loads(result.stdout)
        self.assertEqual(record["final_url"], f"{self.web.url}/page/0")
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.returncode, 0)

    def test_lists_come_from_files_and_pipes_with_remarks(self):
        (self.here / "list").write_text(f"# remark\n\n  {self.web.url}/page/1 \r\n\t# another\n{self.web.url}/page/2")
        result = self.run_fetch("-q", "--from", "list", "--from", "-", input=f"{self.web.url}/page/3\n")
        self.assertEqual(len(result.stdout.splitlines()), 3, result.stderr)
        self.assertEqual(result.returncode, 0)
        result = self.run_fetch("-q", input=f"{self.web.url}/page/3\n{self.web.url}/page/4\n")
        self.assertEqual(len(result.stdout.splitlines()), 2, result.stderr)

    def test_what_fails_for_a_moment_is_tried_again(self):
        before = len(self.web.log())
        result = self.run_fetch("--retries", "2", f"{self.web.url}/busy/x")
        self.assertEqual(json.loads(result.stdout)["error"], "HTTP 503 Service Unavailable")
        self.assertEqual([line.split()[1] for line in self.web.log()[before:]].count("/busy/x"), 3)

    def test_https_is_verified(self):
        url = f"{self.web.safe_url}/page/5"
        refused = self.run_fetch("--retries", "0", url)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("not to be trusted", refused.stderr)
        trusted = self.run_fetch("--ca", str(self.web.folder / "server.pem"), url)
        self.assertEqual(trusted.returncode, 0, trusted.stderr)

    def test_compression_is_undone(self):
        text = b"some text " * 10_000
        (self.web.site / "page" / "text").write_bytes(text)
        (self.web.site / "page" / "text.gz").write_bytes(gzip.compress(text))
        record = json.loads(self.run_fetch(f"{self.web.url}/page/text").stdout)
        self.assertEqual(record["sha256"], hashlib.sha256(text).hexdigest())


class Folder(WithWeb):
    def test_names_can_be_read_back_and_never_clash(self):
        for odd in ("a b", "%41", ".hidden", "x.part", "x.version", "é", "~", "a=b&c"):
            (self.web.site / "page" / odd).write_text(odd)
        odd_urls = [f"{self.web.url}/page/{urllib.parse.quote(n)}" for n in ("a b", "%41", ".hidden", "x.part", "x.version", "é", "~", "a=b&c")]
        long_url = f"{self.web.url}/page/1?{'q' * 1000}"
        result = self.run_fetch("-o", "out", *odd_urls, long_url, f"{self.web.url}/page/1?q")
        self.assertEqual(result.returncode, 0, result.stderr)
        names = [f.name for f in (self.here / "out").rglob("*") if f.is_file()]
        self.assertEqual(len(names), 10)
        self.assertLessEqual(max(map(len, names)), 255)
        stored = self.stored()
        self.assertEqual(stored["/page/a%20b"], b"a b")
        self.assertEqual(stored["/page/x.part"], b"x.part")

    def test_nothing_of_a_failure_is_kept(self):
        result = self.run_fetch("-o", "out", f"{self.web.url}/none", f"{self.web.url}/page/7")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.stored(), self.pages([7]))

    def test_a_part_goes_on_where_it_was(self):
        for how in (signal.SIGINT, signal.SIGKILL):
            shutil.rmtree(self.here / "out", ignore_errors=True)
            (self.here / "lines").unlink(missing_ok=True)
            large = (self.web.site / "slow" / "large").read_bytes()
            part = self.here / "out" / "http" / f"127.0.0.1:{self.web.plain}" / "slow%2Flarge.part"
            running = self.start_fetch("-o", "out", f"{self.web.url}/slow/large")
            until = time.monotonic() + 30
            while not part.exists() or part.stat().st_size < 3_000_000:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)
            running.send_signal(how)
            running.communicate(timeout=LIMIT)
            self.assertEqual(running.returncode, 130 if how == signal.SIGINT else -how)
            had = part.stat().st_size
            before = len(self.web.log())
            result = self.run_fetch("-o", "out", "--resume", f"{self.web.url}/slow/large", "--json-lines", "lines")
            self.assertEqual(result.returncode, 0, result.stderr)
            # nginx writes a request's line when it is done with it, the cut one's and the new one's alike.
            lines, until = [], time.monotonic() + LIMIT
            while not lines and time.monotonic() < until:
                time.sleep(0.01)
                lines = [line for line in self.web.log()[before:] if line != "200 /slow/large -"]
            self.assertEqual(lines, [f"206 /slow/large bytes={had}-"])
            self.assertEqual(self.stored(), {"/slow/large": large})
            record = json.loads((self.here / "lines").read_text())
            self.assertEqual(record["sha256"], hashlib.sha256(large).hexdigest())
            self.assertEqual((record["status"], record["bytes"]), (200, len(large)))
            self.assertEqual(sum(1 for f in (self.here / "out").rglob("*") if f.is_file()), 1)

    def test_a_part_of_another_version_begins_anew(self):
        source = self.web.site / "slow" / "changing"
        source.write_bytes(b"old " * 1_500_000)
        part = self.here / "out" / "http" / f"127.0.0.1:{self.web.plain}" / "slow%2Fchanging.part"
        running = self.start_fetch("-o", "out", f"{self.web.url}/slow/changing")
        until = time.monotonic() + 30
        while not part.exists() or part.stat().st_size < 2_000_000:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=LIMIT)
        source.write_bytes(b"new! " * 300_000)
        os.utime(source, (1, 1))
        result = self.run_fetch("-o", "out", "--resume", f"{self.web.url}/slow/changing")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.stored(), {"/slow/changing": b"new! " * 300_000})

    def test_a_part_without_a_version_begins_anew(self):
        large = (self.web.site / "unversioned" / "large").read_bytes()
        running = self.start_fetch("-o", "out", f"{self.web.url}/unversioned/large")
        part = self.here / "out" / "http" / f"127.0.0.1:{self.web.plain}" / "unversioned%2Flarge.part"
        until = time.monotonic() + 30
        while not part.exists() or part.stat().st_size < 1_000_000:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        running.kill()
        running.communicate(timeout=LIMIT)
        result = self.run_fetch("-o", "out", "--resume", f"{self.web.url}/unversioned/large")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.stored(), {"/unversioned/large": large})


class Thousands(WithWeb):
    def urls(self, n):
        """Every twentieth fails."""
        return [f"{self.web.url}/missing/{i}" if i % 20 == 7 else f"{self.web.url}/page/{i % Web.PAGES}?{i}"
                for i in range(n)]

    def expected(self, n):
        return {f"/page/{i % Web.PAGES}?{i}": (self.web.site / "page" / str(i % Web.PAGES)).read_bytes()
                for i in range(n) if i % 20 != 7}

    def test_ten_thousand_killed_in_the_middle_and_gone_on_with(self):
        n = 10_000
        (self.here / "list").write_text("\n".join(self.urls(n)))
        for _ in range(3):
            # At a rate that leaves time to look, however fast the machine is.
            running = self.start_fetch("-o", "out", "--resume", "--from", "list", "-c", "64", "-q", "--rate", "2500")
            target = len(self.stored()) + 1500
            until = time.monotonic() + 60
            while sum(1 for _ in (self.here / "out").rglob("*")) < target and running.poll() is None:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.01)
            self.assertIsNone(running.poll(), "it was to be killed in the middle")
            running.kill()
            running.communicate(timeout=LIMIT)
        result = self.run_fetch("-o", "out", "--resume", "--from", "list", "-c", "64")
        self.assertEqual(result.returncode, 1)
        self.assertIn("500 failed", result.stderr)
        self.assertEqual(self.stored(), self.expected(n))
        self.assertFalse(list((self.here / "out").rglob("*.part")))

    def test_a_journal_goes_on_too(self):
        n = 3000
        (self.here / "list").write_text("\n".join(self.urls(n)))
        running = self.start_fetch("--json-lines", "lines", "--from", "list", "-q", "--rate", "2000")
        until = time.monotonic() + 60
        while not (self.here / "lines").exists() or (self.here / "lines").stat().st_size < 100_000:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        running.kill()
        running.communicate(timeout=LIMIT)
        result = self.run_fetch("--json-lines", "lines", "--from", "list", "--resume")
        self.assertEqual(result.returncode, 1)
        self.assertIn("were there already", result.stderr)
        records = [json.loads(line) for line in (self.here / "lines").read_text().splitlines()]
        good = [r["url"] for r in records if r["error"] is None]
        self.assertEqual(len(good), len(set(good)), "nothing was fetched twice")
        self.assertEqual(set(good), {u for u in self.urls(n) if "missing" not in u})

    def test_ctrl_c_keeps_what_was_done(self):
        (self.here / "list").write_text("\n".join(self.urls(5000)))
        running = self.start_fetch("-o", "out", "--from", "list", "--rate", "500")
        until = time.monotonic() + 60
        while sum(1 for _ in (self.here / "out").rglob("*")) < 200:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=LIMIT)
        self.assertEqual(running.returncode, 130)
        self.assertIn("--resume goes on", said)
        self.assertGreaterEqual(len(self.stored()), 190)

    def test_few_descriptors_are_enough(self):
        def few():
            die_with_parent()
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        (self.here / "list").write_text("\n".join(f"{self.web.url}/page/{i}" for i in range(300)))
        result = self.run_fetch("-o", "out", "--from", "list", "-c", "1000", preexec_fn=few)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("the limit on open files allows", result.stderr)
        self.assertEqual(self.stored(), self.pages(range(300)))

    def test_memory_does_not_grow_with_the_list(self):
        def peak(n):
            with open(self.here / "list", "w") as file:
                for i in range(n):
                    file.write(f"not-a-url-{i}\n")
            with open(os.devnull, "w") as nowhere:
                child = subprocess.Popen([PLAIT, "fetch", "-q", "--from", "list"], cwd=self.here, stdout=nowhere,
                                         preexec_fn=die_with_parent)
                _, status, usage = os.wait4(child.pid, 0)
                child.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(child.returncode, 1)
            return usage.ru_maxrss
        self.assertLess(peak(200_000), peak(2_000) + 8_000, "KiB")


class Robots(WithWeb):
    def test_is_asked_and_obeyed(self):
        (self.web.site / "robots.txt").write_text(
            "User-agent: *\nDisallow: /page/1\nAllow: /page/10\n\nUser-agent: other\nDisallow: /\n")
        urls = [f"{self.web.url}/page/{i}" for i in (1, 10, 2)]
        before = len(self.web.log())
        result = self.run_fetch("--robots", *urls)
        errors = {r["url"][-3:]: r["error"] for r in map(json.loads, result.stdout.splitlines())}
        self.assertEqual(errors, {"e/1": "refused by robots.txt", "/10": None, "e/2": None})
        asked = [line.split()[1] for line in self.web.log()[before:]]
        self.assertEqual(asked.count("/robots.txt"), 1)
        self.assertNotIn("/page/1", asked)
        other = self.run_fetch("--robots", "--user-agent", "other/2.0", *urls)
        self.assertEqual(other.returncode, 1)
        self.assertIn("3 failed", other.stderr)


class BadInput(WithWeb):
    def test_says_what_to_do(self):
        (self.here / "file").write_text("")
        for arguments, says in (
                (["--from", "nowhere"], "cannot read the list nowhere: No such file"),
                (["-o", "file", "http://h/"], "cannot make the folder file"),
                (["--resume", "http://h/"], "--resume needs to know what was done"),
                (["--header", "nonsense", "http://h/"], "write 'Name: value'"),
                (["-c", "0", "http://h/"], "--concurrency"),
                (["--json-lines", "/nowhere/x", "http://h/"], "cannot write /nowhere/x"),
                (["--json-lines", "/dev/full", f"{self.web.url}/page/1"], "cannot write to /dev/full"),
        ):
            result = self.run_fetch(*arguments, stdin=subprocess.DEVNULL)
            self.assertEqual(result.returncode, 2, (arguments, result.stderr))
            self.assertIn(says, result.stderr)

    def test_a_line_that_never_ends_is_no_url(self):
        (self.here / "list").write_text("x" * 100_000)
        result = self.run_fetch("--from", "list")
        self.assertEqual(result.returncode, 2)
        self.assertIn("line 1 of list has more than 65536 bytes", result.stderr)

    def test_a_journal_that_is_none_is_left_alone(self):
        (self.here / "notes").write_text("my notes\n")
        result = self.run_fetch("--json-lines", "notes", "--resume", f"{self.web.url}/page/1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("is no journal", result.stderr)
        self.assertEqual((self.here / "notes").read_text(), "my notes\n")


class Terminal(WithWeb):
    def test_shows_how_far_it_is(self):
        (self.here / "list").write_text("\n".join(f"{self.web.url}/page/{i % 100}?{i}" for i in range(1000)))
        ours, theirs = pty.openpty()
        process = subprocess.Popen([PLAIT, "fetch", "-o", "out", "--from", "list", "--rate", "800"], cwd=self.here,
                                   stderr=theirs, preexec_fn=die_with_parent)
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
        os.close(ours)
        self.assertEqual(process.wait(timeout=LIMIT), 0)
        text = said.decode()
        self.assertIn("of 1,000", text)
        self.assertIn("to go", text)
        self.assertRegex(text, r"\x1b\[KFetched 1,000 of 1,000 URLs in [^\x1b]*$")


if __name__ == "__main__":
    unittest.main()
