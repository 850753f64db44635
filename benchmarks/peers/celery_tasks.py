"""Debian's Celery as the peer of ../celery_bench.cpp.

celery_tasks.py send N _ IP:PORT        calls of proj.add, one after the other
celery_tasks.py send_confirmed N _ URL  the same to a RabbitMQ that confirms each
celery_tasks.py call N _ IP:PORT        delay().get(), one after the other
celery_tasks.py worker solo|prefork CONCURRENCY IP:PORT    until it is told to stop

IP:PORT is a Redis, in whose database 15 it works; or it is the URL of a RabbitMQ, which brings results back.
"""

import os
import statistics
import sys
import time

from celery import Celery

WHERE = sys.argv[4] if len(sys.argv) > 4 else os.environ["CELERY_PEER_URL"]
URL = WHERE if "://" in WHERE else f"redis://{WHERE}/15"
app = Celery("proj", broker=URL, backend="rpc://" if URL.startswith("amqp:") else URL)
app.conf.broker_connection_retry_on_startup = True


@app.task(name="proj.add")
def add(x, y):
    return x + y


def send(n):
    begun = time.perf_counter()
    for i in range(n):
        add.apply_async((i, 3), ignore_result=True)
    return n, time.perf_counter() - begun, {}


def send_confirmed(n):
    app.conf.broker_transport_options = {"confirm_publish": True}
    return send(n)


def call(n):
    for _ in range(20):
        add.delay(2, 3).get(timeout=30)
    times = []
    for _ in range(n):
        begun = time.perf_counter()
        add.delay(2, 3).get(timeout=30)
        times.append(time.perf_counter() - begun)
    return n, sum(times), {"p50_us": statistics.median(times) * 1e6}


def main():
    mode, size = sys.argv[1:3]
    if mode == "worker":
        app.worker_main(["worker", "--pool", size, "--concurrency", sys.argv[3], "--loglevel", "ERROR",
                         "--without-gossip", "--without-mingle", "--without-heartbeat"])
        return
    n, seconds, more = {"send": send, "send_confirmed": send_confirmed, "call": call}[mode](int(size))
    print(f"R bench={mode} impl=celery n={n} secs={seconds:.6f} ns_op={seconds * 1e9 / n:.1f} "
          + " ".join(f"{key}={value:.1f}" for key, value in more.items()))


if __name__ == "__main__":
    main()
