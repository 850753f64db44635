"""concurrent.futures for the thread pool's rows: threads, and processes where the row is CPU-bound."""

import math
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from measurement import Stopwatch, report, run_mode

NUMBERS = [112272535095293, 112582705942171, 115280095190773,
           115797848077099, 1099726899285419, 115280095190773]


def is_prime(n):
    if n < 2:
        return False
    for i in range(2, int(math.floor(math.sqrt(n))) + 1):
        if n % i == 0:
            return False
    return True


def small(i):
    return i


def submit_get(given):
    n = given.n_or(100_000)
    with ThreadPoolExecutor(given.workers) as executor:
        watch = Stopwatch()
        futures = [executor.submit(small, i & 7) for i in range(n)]
        total = sum(future.result() for future in futures)
        report(given.mode, "threads", n, watch.read(), sum=total)


def primes_in(executor_class, name):
    def primes(given):
        numbers = NUMBERS * given.n_or(1)
        watch = Stopwatch()
        found = sum(map(is_prime, numbers))
        serial, _ = watch.read()
        watch = Stopwatch()
        with executor_class(given.workers) as executor:
            if sum(executor.map(is_prime, numbers)) != found:
                raise ArithmeticError("wrong count of primes")
        parallel = watch.read()
        report(given.mode, name, len(numbers), parallel, speed_up=serial / parallel[0])
    return primes


def idle(given):
    with ThreadPoolExecutor(given.workers) as executor:
        executor.submit(small, 1).result()
        time.sleep(0.2)
        watch = Stopwatch()
        time.sleep(1)
        seconds, cpu_seconds = watch.read()
        report(given.mode, "threads", 1, (seconds, cpu_seconds), percent=100 * cpu_seconds / seconds)


if __name__ == "__main__":
    run_mode({"submit_get": submit_get,
              "primes": primes_in(ThreadPoolExecutor, "threads"),
              "primes_processes": primes_in(ProcessPoolExecutor, "processes"),
              "idle": idle})
