"""Tasks of a real Celery worker, and of an application of Celery's that calls others' tasks.

python3 -m celery -A interop_tasks worker -c 2      with INTEROP_URL and INTEROP_QUEUE
"""
import os
import time

from celery import Celery
from celery.exceptions import Ignore

app = Celery("interop", broker=os.environ["INTEROP_URL"],
             backend=os.environ.get("INTEROP_BACKEND", os.environ["INTEROP_URL"]))
app.conf.task_default_queue = os.environ.get("INTEROP_QUEUE", "celery")
app.conf.accept_content = ["json"]
app.conf.broker_connection_retry_on_startup = True


class OwnError(Exception):
    pass


@app.task(name="add")
def add(a, b=100):
    return a + b


@app.task(name="total")
def total(numbers):
    return sum(numbers)


@app.task(name="nested")
def nested(lists):
    return [type(lists).__name__, lists]


@app.task(name="same")
def same(*args, **kwargs):
    return [list(args), kwargs]


@app.task(name="fail")
def fail(kind, text):
    if kind == "value":
        raise ValueError(text)
    if kind == "file":
        open("/no/such/file")
    if kind == "own":
        raise OwnError(text, 7)
    raise KeyError(text)


@app.task(name="flaky", bind=True, max_retries=3)
def flaky(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task(name="progress", bind=True)
def progress(self):
    self.update_state(state="PROGRESS", meta={"done": 1})
    time.sleep(0.2)
    return "done"


@app.task(name="note")
def note(key, what):
    app.backend.client.rpush(key, what)


@app.task(name="priority", bind=True)
def priority(self):
    return self.request.delivery_info["priority"]


@app.task(name="replaced", bind=True)
def replaced(self, n):
    from celery import group
    raise self.replace(group(add.s(i, i) for i in range(n)))


@app.task(name="mixed", bind=True)
def mixed(self, n):
    time.sleep(0.005)
    return [n * n, "python"]
