"""Reads what C++ wrote, a line each: kind, tab, text. Fails if Celery understands it differently."""
import math
import sys

from celery import Celery
from celery.result import result_from_tuple
from celery.worker.request import Request
from kombu import Connection, Queue
from kombu.utils.json import loads

app = Celery("proj", broker="memory://", backend="cache+memory://")
app.conf.accept_content = ["json"]


@app.task(name="proj.add")
def add(*args, **kwargs):
    pass


def message_from(text):
    """As a consumer of a virtual transport, such as Redis, gets it."""
    with Connection("memory://") as connection:
        channel = connection.channel()
        queue = Queue("wire")(channel)
        queue.declare()
        channel._put("wire", loads(text))
        return queue.get(accept=["json"])


def check_task(text):
    message = message_from(text)
    args, kwargs, embed = message.payload
    assert args == [1, 2], args
    assert kwargs["s"] == "\U0001f600 \u00e4 \" \\ \u0001 \ud800", ascii(kwargs["s"])
    assert math.isnan(kwargs["n"]) and kwargs["i"] == 123456789012345678901234567890
    assert kwargs["f"] == 1e-7 and kwargs["l"] == [[], {}, None, True]
    assert [app.signature(s).task for s in embed["callbacks"]] == ["proj.next"]
    assert [app.signature(s).task for s in embed["chain"]] == ["proj.last", "celery.group"]
    assert [s["task"] for s in app.signature(embed["chain"][1]).tasks] == ["proj.a", "proj.b"]
    request = Request(message, app=app, hostname="w@lab", eventer=None, task=add)
    assert request.id == "4f7e" and request.name == "proj.add" and request.root_id == "4f7e"
    assert request.time_limits == [10, 2.5], request.time_limits
    assert request.eta.microsecond == 462655, request.eta
    assert not request.maybe_expire()


def check_success(text):
    meta = app.backend.meta_from_decoded(app.backend.decode_result(text))
    assert meta["result"] == [1, 0.5, "\u00e4"] and meta["task_id"] == "a", meta
    child = result_from_tuple(meta["children"][0], app)
    assert child.id == "b" and child.parent.id == "a"


def check_failure(text):
    error = app.backend.meta_from_decoded(app.backend.decode_result(text))["result"]
    failures.append(error)
    assert isinstance(error, Exception), error


def check_request(text):
    body = message_from(text).payload
    assert body["method"] == "ping" and body["arguments"] == {} and body["destination"] is None
    assert body["reply_to"] == {"exchange": "r", "routing_key": "k"}, body


def check_event(text):
    message = message_from(text)
    assert message.payload["type"] == "worker-online" and message.payload["freq"] == 2
    assert message.delivery_info["routing_key"] == "worker.online"


failures = []
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        kind, text = line.rstrip("\n").split("\t")
        globals()["check_" + kind](text)
assert isinstance(failures[0], ValueError) and failures[0].args == ("bad",)
assert isinstance(failures[1], FileNotFoundError) and failures[1].errno == 2
assert type(failures[2]).__name__.endswith("own_error") and failures[2].args == ("mine",)
