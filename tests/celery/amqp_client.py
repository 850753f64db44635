"""A Python program that calls a C++ worker over RabbitMQ, with results by rpc://."""
from celery.exceptions import NotRegistered

from interop_tasks import add, app

PATIENCE = 20

assert add.delay(2, 3).get(timeout=PATIENCE) == 5
assert add.delay(2).get(timeout=PATIENCE) == 102
assert add.apply_async((1, 2), countdown=0.3).get(timeout=PATIENCE) == 3
results = [add.delay(i, i) for i in range(50)]
assert [r.get(timeout=PATIENCE) for r in results] == [2 * i for i in range(50)]
assert app.send_task("flaky", (2,)).get(timeout=PATIENCE) == 2  # retried twice
for name, args, kind in (("fail", ("value", "no"), ValueError), ("add", (1, 2, 3), TypeError),
                         ("no.such.task", (), NotRegistered)):
    try:
        app.send_task(name, args).get(timeout=PATIENCE)
        raise SystemExit(f"{name} did not fail")
    except kind:
        pass
chained = (add.s(1, 2) | add.s(10)).delay()
assert chained.get(timeout=PATIENCE) == 13
answers = app.control.ping(timeout=2)
assert len(answers) == 1 and list(answers[0].values()) == [{"ok": "pong"}], answers
registered = app.control.inspect(timeout=2).registered()
assert any("flaky" in names for names in registered.values()), registered
