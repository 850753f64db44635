"""Uses examples/celery/flask_app as a browser does, while a C++ worker runs at $BROKER_URL."""
import time

from app import app

browser = app.test_client()


def outcome(path, **form):
    sent = browser.post(path, data=form)
    assert sent.status_code == 202, sent.data
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = browser.get(sent.json["job"]).json
        if answer["state"] in ("SUCCESS", "FAILURE"):
            return answer
        time.sleep(0.01)
    raise AssertionError(f"no end of {path}: {answer}")


assert browser.get("/").status_code == 200
assert outcome("/sums", a=2, b=3) == {"state": "SUCCESS", "result": 5}
assert outcome("/totals", numbers="1,2,3,4") == {"state": "SUCCESS", "result": 10}
assert outcome("/greetings", name="you")["result"] == "hello you"
failed = outcome("/greetings")
assert failed == {"state": "FAILURE", "error": "ValueError('name is empty')"}, failed
