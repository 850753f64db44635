"""A RabbitMQ of the driver's own: it takes seconds to start, so one serves all rows and is frozen in between."""

import atexit
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile

import servers
from programs import Missing

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the script below Debian's, which would change the user
RESULTS = "plait.results"  # where the answers of filled-in calls go and stay, to be counted
running = []  # the one that was started


class RabbitMQ:
    """Where a measurement finds the broker, and how it counts what was done there."""

    def __init__(self, port, channel):
        self.address = f"amqp://guest:guest@127.0.0.1:{port}//"
        self.channel = channel
        self.filling = ["env", f"PLAIT_REPLY_TO={RESULTS}"]

    def stored(self):
        return self.channel.queue_declare(RESULTS, passive=True).message_count


@contextlib.contextmanager
def rabbitmq():
    """The server, thawed and without messages."""
    try:
        import amqp  # which Celery brings
    except ImportError as error:
        raise Missing("Python's amqp is not installed") from error
    server, port = running[0] if running else start()
    server.send_signal(signal.SIGCONT)
    try:
        with amqp.Connection(f"127.0.0.1:{port}") as connection:
            channel = connection.channel()
            for queue in ("celery", "plait.dead.celery", RESULTS):
                channel.queue_delete(queue)
            channel.queue_declare(RESULTS, durable=False, auto_delete=False)
            yield RabbitMQ(port, channel)
    finally:
        server.send_signal(signal.SIGSTOP)


def start():
    if not os.path.exists(SERVER):
        raise Missing("rabbitmq-server is not installed")
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="plait-rabbitmq-", ignore_cleanup_errors=True))
    port, epmd_port, distribution_port = (servers.free_port() for _ in range(3))
    cookie = pathlib.Path(folder, ".erlang.cookie")
    cookie.write_text(f"PLAITBENCHCOOKIE{port}", encoding="ascii")
    cookie.chmod(0o400)
    pathlib.Path(folder, "enabled_plugins").write_text("[].\n", encoding="ascii")
    pathlib.Path(folder, "rabbitmq.conf").write_text(
        f"listeners.tcp.local = 127.0.0.1:{port}\ndisk_free_limit.absolute = 10MB\n", encoding="ascii")
    run(kept, ["epmd", "-address", "127.0.0.1", "-port", str(epmd_port)], os.environ)
    server = run(kept, [SERVER], os.environ | {
        "HOME": folder,
        "RUNNING_UNDER_SYSTEMD": "1",  # the virtual machine takes the script's place
        "NOTIFY_SOCKET": "",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"plait{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "",
        "RABBITMQ_NODE_PORT": "",
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
        "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
        "RABBITMQ_LOG_BASE": f"{folder}/log",
    })
    servers.wait_until_open(server, port, seconds=60)
    running.append((server, port))
    return running[0]


def run(kept, command, environment):
    """A child that does not outlive this program, however it ends."""
    try:
        child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], env=environment,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError as error:
        raise Missing(f"{error.filename} is not installed") from error

    def end():
        child.kill()  # a frozen one hears nothing else
        child.wait()
    kept.callback(end)
    return child
