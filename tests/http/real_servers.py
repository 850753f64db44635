#!/usr/bin/env python3
"""Runs http_real_servers_test beside Debian's httpbin, in gunicorn, and nginx with TLS.

  tests/http/real_servers.py build/dev/tests/http/http_real_servers_test [GTEST OPTION...]

Both on free ports of the loopback interface, both ended by their process id, whatever happens here. The
test finds them through its environment, and runs on each poller in turn.
"""
import ctypes
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

GUNICORN = shutil.which("gunicorn", path="/usr/bin") or "/usr/bin/gunicorn"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  access_log off; default_type text/plain; gzip on; gzip_min_length 1; gzip_types *;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{http2} ssl http2;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/ca.pem; ssl_verify_client optional;
    root {folder}/site; client_max_body_size 1m;
    location /few/ {{ alias {folder}/site/; keepalive_requests 2; }}
    location /short/ {{ alias {folder}/site/; keepalive_timeout 1ms; }}
    location = /who {{ return 200 "$ssl_client_s_dn"; }}
    location /bin/ {{ proxy_pass http://{httpbin}/; client_max_body_size 20m; }}
    location /away/ {{ return 308 http://127.0.0.1:{plain}/bin/anything; }}
  }}
}}
"""


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, **options):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            preexec_fn=die_with_parent, **options)


def stop(process, how=signal.SIGTERM):
    process.send_signal(how)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """ca.pem, and server and client (.pem, .key) that it has signed."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA")
    for name, subject in ("server", "/CN=localhost"), ("client", "/CN=a client"):
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        (folder / "extensions").write_text("subjectAltName=DNS:localhost\n")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", "extensions")


def make_site(folder):
    site = folder / "site"
    site.mkdir()
    random.seed(6)
    (site / "text").write_text("".join(f"line {i} of a text that can be compressed\n" for i in range(5_000)))
    (site / "random").write_bytes(random.randbytes(1_200_000))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_nginx(folder, httpbin):
    plain, tls, http2 = free_port(), free_port(), free_port()
    (folder / "nginx.conf").write_text(
        CONFIGURATION.format(folder=folder, plain=plain, tls=tls, http2=http2, httpbin=httpbin))
    process = start([NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "early.log")])
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", tls), 1).close()
            return process, plain, tls, http2
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                stop(process)
                sys.exit("nginx does not listen: " + (folder / "early.log").read_text())
            time.sleep(0.02)


def address_of(gunicorn):
    said = []
    for line in gunicorn.stdout:
        said.append(line)
        found = re.search(r"Listening at: http://(127\.0\.0\.1:\d+)", line)
        if found:
            return found[1]
    sys.exit("gunicorn does not listen:\n" + "".join(said))


def main():
    program, options = os.path.abspath(sys.argv[1]), sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="plait-servers-") as temporary:
        folder = pathlib.Path(temporary)
        processes = [start([GUNICORN, "-k", "gevent", "--workers", "1", "--graceful-timeout", "1", "--keep-alive", "30",
                            "-b", "127.0.0.1:0", "httpbin:app"])]
        try:
            make_certificates(folder)
            make_site(folder)
            httpbin = address_of(processes[0])
            nginx, plain, tls, http2 = start_nginx(folder, httpbin)
            processes.append(nginx)
            environment = dict(os.environ, HTTPBIN=f"http://{httpbin}", NGINX=f"http://127.0.0.1:{plain}",
                               NGINX_TLS=f"https://localhost:{tls}",
                               NGINX_HTTP2=f"https://localhost:{http2}", CERTIFICATES=str(folder), SITE=str(folder / "site"))
            for poller in "epoll", "io_uring":
                done = subprocess.run([program, "--gtest_brief=1", *options], preexec_fn=die_with_parent,
                                      env=environment | {"PLAIT_POLLER": poller}, timeout=100)
                if done.returncode != 0:
                    sys.exit(f"on {poller}: exit status {done.returncode}")
        finally:
            for process, at_once in zip(processes, (signal.SIGQUIT, signal.SIGTERM)):  # gunicorn's, nginx's
                stop(process, at_once)


if __name__ == "__main__":
    main()
