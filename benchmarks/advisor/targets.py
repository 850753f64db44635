"""Programs whose bottleneck is known, in Python: `python3 targets.py NAME`. Each runs until it is ended.

The server that some of them talk to is PORT in the environment (matrix.py starts it): it answers a line
"DELAY_MS\n" with a line, after that many milliseconds.
"""
import asyncio
import concurrent.futures
import json
import multiprocessing
import os
import queue
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zlib

PORT = int(os.environ.get("PORT", "0"))


def compute(seconds):
    end = time.process_time_ns() + int(seconds * 1e9)
    x = 1
    while time.process_time_ns() < end:
        for _ in range(2000):
            x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
    return x


def compute_here(seconds):
    """As compute, by this thread's own clock."""
    end = time.thread_time_ns() + int(seconds * 1e9)
    x = 1
    while time.thread_time_ns() < end:
        for _ in range(500):
            x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
    return x


class Line:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT))

    def ask(self, milliseconds):
        self.socket.sendall(f"{milliseconds}\n".encode())
        while not self.socket.recv(4096).endswith(b"\n"):
            pass


def forever(f, *arguments):
    while True:
        f(*arguments)


def threads(count, f, *arguments):
    running = [threading.Thread(target=forever, args=(f, *arguments)) for _ in range(count)]
    for t in running:
        t.start()
    for t in running:
        t.join()


def ask_anew(milliseconds):
    Line().ask(milliseconds)


def sequential_requests():
    line = Line()
    forever(line.ask, 25)


def threaded_requests():
    def client():
        line = Line()
        forever(line.ask, 60)

    threads(8, client)


def select_one_by_one():
    line = Line()
    while True:
        line.socket.sendall(b"15\n")
        select.select([line.socket], [], [], 5)
        line.socket.recv(100)


async def asyncio_client(milliseconds):
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    while True:
        writer.write(f"{milliseconds}\n".encode())
        await reader.readline()


async def gather(*coroutines):
    await asyncio.gather(*coroutines)


def asyncio_requests():
    asyncio.run(gather(*[asyncio_client(300) for _ in range(200)]))


def asyncio_saturated():
    async def serve_one():
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        while True:
            writer.write(b"5\n")
            await reader.readline()
            json.loads(json.dumps(list(range(2000))))

    asyncio.run(gather(*[serve_one() for _ in range(50)]))


def asyncio_to_thread_sleep():
    async def one():
        while True:
            await asyncio.to_thread(time.sleep, 0.05)

    asyncio.run(gather(*[one() for _ in range(6)]))


def gil_pool():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        while True:
            list(pool.map(compute_here, [0.02] * 64))


def gil_and_requests():
    def work():
        line = Line()
        while True:
            line.ask(5)
            compute_here(0.015)

    threads(4, work)


def compress_alone():
    data = os.urandom(1 << 18) + bytes(1 << 18)
    forever(zlib.compress, data, 6)


def compress_two():
    data = os.urandom(1 << 20) + bytes(1 << 20)
    threads(2, zlib.compress, data, 6)


def processes(count):
    with multiprocessing.Pool(count) as pool:
        while True:
            pool.map(compute, [0.05] * count * 4, chunksize=1)


def processes_two():
    processes(2)


def processes_six():
    processes(6)


def lock_across_sleep():
    lock = threading.Lock()

    def work():
        with lock:
            time.sleep(0.01)

    threads(6, work)


def lock_across_request():
    lock = threading.Lock()
    line = Line()

    def work():
        with lock:
            line.ask(10)
        compute_here(0.0002)

    threads(6, work)


def fetch_then_compute():
    line = Line()
    while True:
        line.ask(20)
        compute(0.02)


def queue_between():
    waiting = queue.Queue(4)

    def fetch():
        line = Line()
        while True:
            line.ask(12)
            waiting.put(1)

    threading.Thread(target=fetch).start()
    while True:
        waiting.get()
        compute_here(0.011)


def synced_writes():
    with tempfile.TemporaryFile(dir=".") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())


def sqlite_commits():
    with tempfile.TemporaryDirectory(dir=".") as folder:
        database = sqlite3.connect(folder + "/rows")
        database.execute("create table rows (x)")
        while True:
            database.execute("insert into rows values (1)")
            database.commit()


def sleeping_threads():
    threads(10, time.sleep, 0.03)


def polls_with_sleep():
    while not os.path.exists("/nowhere"):
        time.sleep(0.2)


def bursts():
    while True:
        compute(0.3)
        time.sleep(0.3)


def idle_server():
    async def serve():
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        await server.serve_forever()

    asyncio.run(serve())


def computing_children():
    while True:
        subprocess.run([sys.executable, __file__, "compute_a_little"], check=True)


def compute_a_little():
    compute(0.25)


def waiting_for_input():
    reading, _ = os.pipe()
    os.read(reading, 1)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
