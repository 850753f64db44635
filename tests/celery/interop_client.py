"""A Python program that calls a C++ worker: python3 interop_client.py CALLS, and INTEROP_URL.

Every function named test_... is a promise; what fails prints a traceback, and the exit status is 1.
"""
import datetime
import sys
import time
import traceback

from celery import chain, chord, group
from celery.exceptions import ChordError, NotRegistered, TaskRevokedError
from celery.result import GroupResult
from kombu import Producer

from interop_tasks import add, app, nested, note, progress, replaced, total

PATIENCE = 20


def get(result):
    return result.get(timeout=PATIENCE)


def raises(kind, result):
    try:
        value = get(result)
    except kind as error:
        return error
    raise AssertionError(f"{value!r} instead of {kind}")


def call(name, *args, **kwargs):
    return app.send_task(name, args, kwargs)


class calls:
    def test_results():
        assert get(add.delay(2, 3)) == 5
        assert get(add.delay(2, b=5)) == 7
        assert get(add.delay(2)) == 102
        assert get(add.apply_async(kwargs={"a": 1, "b": 2})) == 3
        assert get(call("twice", 21)) == 42
        for value in (None, True, 1.5, 2**40, "\u00e4\U0001f600", [1, [2.5, None]], {"k": {"l": []}}):
            assert get(call("echo", value)) == value, value
        result = add.delay(1, 1)
        get(result)
        assert result.state == "SUCCESS" and result.successful() and result.ready()
        assert result.date_done is not None

    def test_later_and_never():
        begin = time.monotonic()
        assert get(add.apply_async((1, 2), countdown=0.4)) == 3
        assert time.monotonic() - begin >= 0.35
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
        assert get(add.apply_async((1, 2), eta=past)) == 3
        late = add.apply_async((1, 2), expires=past)
        raises(TaskRevokedError, late)
        assert late.state == "REVOKED"
        revoked = add.apply_async((1, 2), countdown=1.5)
        app.control.revoke(revoked.id)
        raises(TaskRevokedError, revoked)
        assert get(add.apply_async((1, 2), expires=60, priority=3)) == 3

    def test_failures():
        error = raises(ValueError, call("fail", "value", "no sense"))
        assert error.args == ("no sense",), error.args
        error = raises(FileNotFoundError, call("fail", "file", ""))
        assert error.errno == 2
        assert type(raises(Exception, call("fail", "own", "mine"))).__name__.endswith("own_error")
        raises(TypeError, call("add", 1, 2, 3))
        raises(TypeError, call("add"))
        raises(TypeError, call("add", 1, c=2))
        assert "add()" in str(raises(TypeError, call("add", 1, "two")))
        error = raises(NotRegistered, call("no.such.task"))
        assert "no.such.task" in str(error)
        failed = call("fail", "value", "x")
        raises(ValueError, failed)
        assert failed.state == "FAILURE" and failed.traceback

    def test_retries_and_states():
        assert get(call("flaky", 2)) == 2
        raises(Exception, call("flaky", 9))
        result = progress.delay()
        seen = set()
        deadline = time.monotonic() + PATIENCE
        while not result.ready() and time.monotonic() < deadline:
            state = result.state
            seen.add(state)
            if state == "PROGRESS":
                assert result.info == {"done": 1}, result.info
            time.sleep(0.01)
        assert get(result) == "done" and "PROGRESS" in seen, seen

    def test_ignored():
        ignored = add.apply_async((1, 2), ignore_result=True)
        get(add.delay(1, 2))
        time.sleep(0.1)
        assert app.backend.client.get("celery-task-meta-" + ignored.id) is None

    def test_pickle_is_refused():
        with app.connection_for_write() as connection:
            Producer(connection).publish(
                b"cos\nsystem\n(S'false'\ntR.", exchange="", routing_key=app.conf.task_default_queue,
                content_type="application/x-python-serialize", content_encoding="binary",
                headers={"task": "add", "id": "a-pickle", "lang": "py"})
        error = raises(Exception, app.AsyncResult("a-pickle"))
        assert "task_serializer" in str(error) or "pickle" in str(error), error
        assert get(add.delay(1, 2)) == 3


class canvas:
    def test_chain():
        result = chain(add.s(1, 2), add.s(10), add.s(100))()
        assert get(result) == 113
        assert get(result.parent) == 13 and get(result.parent.parent) == 3
        assert get((add.s(1, 2) | add.si(5, 5))()) == 10
        failed = chain(add.s(1, "x"), add.s(1))()
        raises(TypeError, failed)

    def test_group():
        result = group(add.s(i, i) for i in range(10))()
        assert get(result) == [2 * i for i in range(10)]
        assert get(group(add.s(1), add.s(2))(10)) == [11, 12]

    def test_chord():
        assert get(chord([add.s(i, i) for i in range(10)])(total.s())) == 90
        assert get(chord([add.s(1, 1)], total.s() | add.s(5))()) == 7
        failed = chord([add.s(1, 1), call_signature("fail", "value", "bad part")])(total.s())
        raises((ChordError, ValueError), failed)  # get() may throw what the part threw, before the body failed
        error = failed.get(timeout=PATIENCE, propagate=False)
        assert isinstance(error, ChordError) and "ValueError('bad part')" in str(error), error

    def test_nested():
        # A group that a task follows on is a chord.
        assert get((add.s(1, 1) | group(add.s(2), add.s(3)) | total.s())()) == 9
        assert get((add.s(1, 1) | group(add.s(2), add.s(3)) | total.s() | add.s(1))()) == 10
        assert get((add.s(1, 1) | group(add.s(2), add.s(3)))()) == [4, 5]
        assert get(group(chain(add.s(1, 1), add.s(1)), add.s(5, 5))()) == [3, 10]
        inner = chord([add.s(1, 1), add.s(2, 2)], total.s())
        assert get(chord([inner, add.s(4, 4)], total.s())()) == 14
        lists = chord([chain(add.s(1, 1), group(add.s(1), add.s(2))), add.s(9, 9)], nested.s())()
        assert get(lists) == ["list", [[3, 4], 18]], lists.get()

    def test_links():
        key = "links"
        get(add.apply_async((1, 2), link=note.si(key, "called"),
                            link_error=note.si(key, "not this")))
        raises(ValueError, app.send_task("fail", ("value", "x"), link_error=note.si(key, "failed"),
                                         link=note.si(key, "nor this")))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and app.backend.client.llen(key) < 2:
            time.sleep(0.01)
        assert sorted(app.backend.client.lrange(key, 0, -1)) == [b"called", b"failed"]

    def test_maps():
        assert get(total.map([[1, 2], [3]]).apply_async()) == [3, 3]
        assert get(add.starmap([(1, 2), (3, 4)]).apply_async()) == [3, 7]
        assert get(add.chunks([(i, i) for i in range(5)], 2).apply_async()) == [[0, 2], [4, 6], [8]]
        raises(TypeError, add.starmap([(1, "x")]).apply_async())

    def test_replaced():
        assert get(replaced.delay(3)) == [0, 2, 4]
        assert get((replaced.s(3) | total.s())()) == 6

    def test_restored():
        result = group(add.s(1, 1), add.s(2, 2))()
        result.save()
        saved = result.id
        del result  # Celery tells only one object of an id
        assert get(GroupResult.restore(saved)) == [2, 4]


class kept:
    def test_notes():
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and app.backend.client.llen("kept") < 2:
            time.sleep(0.01)
        assert sorted(app.backend.client.lrange("kept", 0, -1)) == [b"chord", b"one"]


def call_signature(name, *args):
    return app.signature(name, args=args)


failures = 0
for suite in sys.argv[1:]:
    for name, test in vars(globals()[suite]).items():
        if not name.startswith("test_"):
            continue
        try:
            test()
        except Exception:
            failures += 1
            print(f"{suite}.{name}:")
            traceback.print_exc(file=sys.stdout)
sys.exit(1 if failures else 0)
