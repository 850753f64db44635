"""A Flask application whose slow work is done by a C++ worker.

The application is plain Celery: it knows the tasks by their names, and not what they are written in.

    redis-server
    example_celery_background_tasks worker redis://127.0.0.1:6379/0      the C++ worker
    BROKER_URL=redis://127.0.0.1:6379/0 flask --app app run              this, in another terminal

    curl -d a=2 -d b=3 http://127.0.0.1:5000/sums           {"job": "/jobs/4f7e..."}
    curl http://127.0.0.1:5000/jobs/4f7e...                 {"result": 5, "state": "SUCCESS"}
    curl -d numbers=1,2,3,4 http://127.0.0.1:5000/totals    a workflow: additions one after the other
"""
import os

from celery import Celery, chain
from flask import Flask, jsonify, request, url_for

url = os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0")
tasks = Celery("flask_app", broker=url, backend=url)
app = Flask(__name__)


def accepted(result):
    return jsonify(job=url_for("job", task_id=result.id)), 202


@app.post("/sums")
def sums():
    a, b = int(request.form["a"]), int(request.form["b"])
    return accepted(tasks.send_task("reports.add", (a, b)))


@app.post("/totals")
def totals():
    first, *rest = [int(n) for n in request.form["numbers"].split(",")]
    steps = [tasks.signature("reports.add", (first, 0))]
    steps += [tasks.signature("reports.add", (n,)) for n in rest]
    return accepted(chain(steps)())


@app.post("/greetings")
def greetings():
    return accepted(tasks.send_task("reports.flaky", (request.form.get("name", ""),)))


@app.get("/jobs/<task_id>")
def job(task_id):
    result = tasks.AsyncResult(task_id)
    state = result.state
    if state == "SUCCESS":
        return jsonify(state=state, result=result.result)
    if state in ("FAILURE", "REVOKED"):  # a std::invalid_argument is a ValueError here
        return jsonify(state=state, error=repr(result.result))
    return jsonify(state=state)


@app.get("/")
def index():
    return """<!doctype html><title>Sums</title>
<form id=f><input name=a value=2> + <input name=b value=3> <button>=</button> <output id=o></output></form>
<script>
f.onsubmit = async (e) => {
  e.preventDefault();
  const sent = await fetch("/sums", {method: "POST", body: new FormData(f)});
  const {job} = await sent.json();
  for (let answer;; await new Promise(r => setTimeout(r, 50))) {
    answer = await (await fetch(job)).json();
    if (answer.state == "SUCCESS" || answer.state == "FAILURE") {
      o.value = answer.result ?? answer.error;
      break;
    }
  }
};
</script>"""
