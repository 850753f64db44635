"""Servers that a row's client talks to, each started for one measurement and ended by its own pid."""

import contextlib
import os
import pathlib
import re
import selectors
import socket
import subprocess
import tempfile
import time

from programs import Failed, Missing

NGINX_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}{listens}; {tls} location / {{ return 200 '{body}'; }} }}
}}
"""
CERTIFICATE = "ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;"


@contextlib.contextmanager
def listening(command):
    """Starts a server that prints where it listens; gives "127.0.0.1:PORT" and its pid."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield f"127.0.0.1:{port_from(server)}", server.pid
    finally:
        end(server)


def port_from(server):
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        line = server.stdout.readline() if selector.select(timeout=10) else ""
    port = re.search(r"listening on .*:(\d+)", line)
    if port:
        return port.group(1)
    end(server)
    said = server.stderr.read()
    if "ModuleNotFoundError" in said:
        raise Missing("Python's " + re.search(r"No module named '([^']+)'", said).group(1)
                      + " is not installed")
    raise Failed(f"{server.args[0]} did not say where it listens: {said.strip()[-200:]}")


def end(server):
    server.terminate()
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def cpu_seconds(pid):
    """What a process's threads have used, to the nanosecond (its stat file counts in hundredths)."""
    return sum(int(task.read_text(encoding="ascii").split()[0]) * 1e-9
               for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


@contextlib.contextmanager
def nginx(machine, listens=""):
    """nginx with one worker in the foreground, answering everything with the peers' small JSON."""
    if machine.nginx is None:
        raise Missing("nginx is not installed")
    with tempfile.TemporaryDirectory(prefix="plait-nginx-") as folder:
        port = free_port()
        configuration = pathlib.Path(folder, "nginx.conf")
        configuration.write_text(NGINX_CONFIGURATION.format(
            folder=folder, port=port, body=small_json(machine), listens=listens,
            tls=CERTIFICATE.format(folder=folder) if listens else ""), encoding="ascii")
        if listens:
            make_certificate(folder)
        server = subprocess.Popen([machine.nginx, "-p", folder, "-e", f"{folder}/error.log",
                                   "-c", str(configuration)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            wait_until_open(server, port)
            yield f"127.0.0.1:{port}", server.pid
        finally:
            end(server)


@contextlib.contextmanager
def nginx_tls(machine, listens):
    """The same over TLS; its certificate is what every client that is started meanwhile trusts."""
    with nginx(machine, listens) as (address, pid):
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        os.environ["SSL_CERT_FILE"] = command[command.index(b"-p") + 1].decode() + "/server.pem"
        try:
            yield address.replace("127.0.0.1", "localhost"), pid
        finally:
            del os.environ["SSL_CERT_FILE"]


def make_certificate(folder):
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", f"{folder}/server.key", "-out", f"{folder}/server.pem"],
                       check=True, capture_output=True)
    except FileNotFoundError as error:
        raise Missing("openssl is not installed") from error


def small_json(machine):
    """The body from small_json.hpp, so that nginx sends the same bytes as the others."""
    header = (machine.sources / "peers" / "small_json.hpp").read_text(encoding="ascii")
    return "".join(re.findall(r'R"\((.*?)\)"', header))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until_open(server, port, seconds=5):
    for _ in range(100 * seconds):
        if server.poll() is not None:
            raise Failed(f"{server.args[0]} ended: " + server.stderr.read().strip()[-200:])
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.01)
    raise Failed(f"{server.args[0]} did not open its port")
