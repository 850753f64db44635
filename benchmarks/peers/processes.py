"""ProcessPoolExecutor (and multiprocessing.Process) for the process pool's rows."""

import ctypes
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from measurement import Stopwatch, report, run_mode

ARRAY_BYTES = 64 * 1024 * 1024


def triple_plus_one(x):
    return 3 * x + 1


def crash(_):
    os.abort()


def milliseconds_since(started):
    return (time.perf_counter() - started) * 1e3


def round_trips(given, n, pause):
    with ProcessPoolExecutor(given.workers) as executor:
        for i in range(20):
            executor.submit(triple_plus_one, i).result()
        watch = Stopwatch()
        microseconds = []
        for i in range(n):
            time.sleep(pause)
            started = time.perf_counter()
            executor.submit(triple_plus_one, i).result()
            microseconds.append(milliseconds_since(started) * 1e3)
        report(given.mode, "processes", n, watch.read(), us=statistics.median(microseconds))


def round_trip(given):
    round_trips(given, given.n_or(2000), 0)


def asleep(given):
    round_trips(given, given.n_or(500), 0.0002)


def calls(given):
    n = given.n_or(20_000)
    with ProcessPoolExecutor(given.workers) as executor:
        executor.submit(triple_plus_one, 0).result()
        watch = Stopwatch()
        total = sum(executor.map(triple_plus_one, range(n), chunksize=1))
        lap = watch.read()
        report(given.mode, "processes", n, lap, per_second=n / lap[0], sum=total)


def start_worker(given):
    def once():
        ours, theirs = multiprocessing.Pipe()
        started = time.perf_counter()
        process = multiprocessing.Process(target=theirs.send, args=(1,))
        process.start()
        ours.recv()
        taken = milliseconds_since(started)
        process.join()
        return taken

    watch = Stopwatch()
    n = given.n_or(20)
    milliseconds = [once() for _ in range(n)]
    report(given.mode, "fork", n, watch.read(), ms=statistics.median(milliseconds))


def start_pool(given):
    def once():
        started = time.perf_counter()
        with ProcessPoolExecutor(given.workers) as executor:
            executor.submit(triple_plus_one, 1).result()
            return milliseconds_since(started)

    watch = Stopwatch()
    n = given.n_or(10)
    milliseconds = [once() for _ in range(n)]
    report(given.mode, "processes", n, watch.read(), ms=statistics.median(milliseconds))


def first_and_last(data):
    return data[0] + data[-1]


def array(given):
    data = bytes(ARRAY_BYTES)
    copy = bytearray(ARRAY_BYTES)
    copy[:] = data  # touches both
    copy_started = time.perf_counter()
    copy[:] = data
    memcpy_ms = milliseconds_since(copy_started)
    with ProcessPoolExecutor(given.workers) as executor:
        executor.submit(first_and_last, b"12").result()
        watch = Stopwatch()
        milliseconds = []
        for _ in range(3):
            started = time.perf_counter()
            executor.submit(first_and_last, data).result()
            milliseconds.append(milliseconds_since(started))
        pickled = statistics.median(milliseconds)
        report(given.mode, "pickled_bytes", 3, watch.read(), one_copy_ms=pickled,
               of_memcpy=pickled / memcpy_ms)


def crash_once(given):
    ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE: no core files
    to_error = []
    watch = Stopwatch()
    for _ in range(given.n_or(5)):
        with ProcessPoolExecutor(given.workers) as executor:
            executor.submit(triple_plus_one, 1).result()
            started = time.perf_counter()
            try:
                executor.submit(crash, 0).result()
            except BrokenProcessPool:
                to_error.append(milliseconds_since(started))
            try:
                executor.submit(triple_plus_one, 1).result()
            except BrokenProcessPool:
                continue  # and so is every later call: there is no next result to time
            raise RuntimeError("this pool survives a crash; time its next result")
    report(given.mode, "processes", len(to_error), watch.read(),
           error_ms=statistics.median(to_error))


def deadly(given):
    """One crash among 401 calls; how many healthy calls are lost with it?"""
    ctypes.CDLL(None).prctl(4, 0)
    lost = 0
    watch = Stopwatch()
    with ProcessPoolExecutor(given.workers) as executor:
        futures = []
        for i in range(401):
            try:
                futures.append(executor.submit(crash if i == 200 else triple_plus_one, i))
            except BrokenProcessPool:
                lost += 1
        for future in futures:
            try:
                future.result()
            except BrokenProcessPool:
                lost += 1
    report(given.mode, "processes", 401, watch.read(), bad=lost - 1)


def parent(given):
    """Workers that hang; prints when they run, then waits to be killed."""
    with ProcessPoolExecutor(given.workers) as executor:
        executor.submit(triple_plus_one, 1).result()
        for _ in range(given.workers):
            executor.submit(time.sleep, 20)
        print("ready", flush=True)
        time.sleep(20)


if __name__ == "__main__":
    run_mode({"round_trip": round_trip, "asleep": asleep, "calls": calls,
              "start_worker": start_worker, "start_pool": start_pool, "array": array,
              "crash": crash_once, "deadly": deadly, "parent": parent})
