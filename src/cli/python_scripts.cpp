#include "cli/python_scripts.hpp"

namespace plait::cli {

const char python_probe[] = R"python(
import importlib, json, platform
found = {"version": platform.python_version()}
for name in ("aiohttp", "requests"):
    try:
        found[name] = getattr(importlib.import_module(name), "__version__", "present")
    except Exception as error:
        found[name] = ""
        found[name + "_error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
)python";

namespace {

// Ends with its parent, and so do the processes that it forks: a pool's workers would live on.
constexpr char beginning[] = R"python(
import ctypes, json, os, resource, signal, sys, time
import asyncio, concurrent.futures, math, multiprocessing, threading

libc = ctypes.CDLL(None)
def die_with(parent):
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
die_with(int(sys.argv[1]))
own_pid = os.getpid()
def in_forked_child():
    die_with(own_pid)
os.register_at_fork(after_in_child=in_forked_child)
multiprocessing.set_start_method("fork")  # the only one that works for a program without a file

name, url, count, seconds = sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])

def cpu_now():
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total

class Watch:
    def __init__(self):
        self.cpu, self.start = cpu_now(), time.perf_counter()
    def read(self):
        return {"seconds": time.perf_counter() - self.start, "cpu_seconds": cpu_now() - self.cpu}

def kilobytes(path, key):
    with open(path) as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0
)python";

// The article's first two experiments. Without requests its one call is the standard library's.
constexpr char article_requests[] = R"python(
if name in ("requests-sequential", "requests-threads"):
    try:
        import requests
        endpoint = "requests " + requests.__version__
    except Exception:
        import urllib.error, urllib.request
        endpoint = "urllib"
        class Response:
            def __init__(self, status_code):
                self.status_code = status_code
        class requests:
            @staticmethod
            def get(url):
                with urllib.request.urlopen(url) as response:
                    response.read()
                    return Response(response.status)

urls = [url for _ in range(count)]

def fetch_sequential():
    return [requests.get(url).status_code for url in urls]

def fetch_threaded():
    with concurrent.futures.ThreadPoolExecutor(max_workers=10) as executor:
        futures = [executor.submit(requests.get, url) for url in urls]
        return [f.result().status_code for f in futures]
)python";

// The article's third. Two things differ from its text, and have to: aiohttp's default limit of 100
// connections would make this 10 s, and its default timeout of 5 minutes does not matter.
constexpr char article_asyncio[] = R"python(
async def fetch_one(session, url):
    async with session.get(url) as response:
        await response.text()
        return response.status

async def fetch_all(urls):
    import aiohttp
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        tasks = [fetch_one(session, url) for url in urls]
        return await asyncio.gather(*tasks, return_exceptions=True)
)python";

constexpr char article_primes[] = R"python(
def is_prime(n):
    """CPU-intensive prime check."""
    if n < 2:
        return False
    for i in range(2, int(math.sqrt(n)) + 1):
        if n % i == 0:
            return False
    return True

numbers = [112272535095293, 112582705942171, 115280095190773,
           115797848077099, 1099726899285419, 115280095190773] * count

def primes_sequential():
    return [is_prime(n) for n in numbers]

def primes_threads():
    with concurrent.futures.ThreadPoolExecutor() as executor:
        return list(executor.map(is_prime, numbers))

def primes_processes():
    with concurrent.futures.ProcessPoolExecutor() as executor:
        return list(executor.map(is_prime, numbers))
)python";

constexpr char populations[] = R"python(
def population(held, lap, memory, stopped_by="cap", **more):
    return dict(lap, count=held, cap=count, stopped_by=stopped_by, bytes_each=memory / max(held, 1),
                start_seconds=lap["seconds"] / max(held, 1), **more)

def memory_with_kernel_side():
    return (kilobytes("/proc/self/status", "VmRSS") + kilobytes("/proc/self/status", "VmPTE")
            + kilobytes("/proc/meminfo", "KernelStack"))

def held_threads():
    gate, threads, stopped_by = threading.Lock(), [], "cap"
    gate.acquire()
    def stay():
        with gate:
            pass
    before, watch = memory_with_kernel_side(), Watch()
    for _ in range(count):
        thread = threading.Thread(target=stay)
        try:
            thread.start()  # returns when it runs
        except RuntimeError as error:
            stopped_by = str(error)
            break
        threads.append(thread)
    lap, memory = watch.read(), memory_with_kernel_side() - before
    gate.release()
    for thread in threads:
        thread.join()
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return population(len(threads), lap, memory, stopped_by, reserved_each=max(stack, 0))

async def held_coroutines():
    here = 0
    async def stay(end):
        nonlocal here
        here += 1
        await asyncio.sleep(end - time.monotonic())
    before, watch, end = kilobytes("/proc/self/status", "VmRSS"), Watch(), time.monotonic() + seconds
    tasks = [asyncio.create_task(stay(end)) for _ in range(count)]
    while here < count:
        await asyncio.sleep(0)
    lap, memory = watch.read(), kilobytes("/proc/self/status", "VmRSS") - before
    await asyncio.gather(*tasks)
    return population(here, lap, memory)

def stay_until(end):
    time.sleep(max(0.0, end - time.monotonic()))

def private_memory(pid):
    path = f"/proc/{pid}/smaps_rollup"
    return kilobytes(path, "Private_Clean") + kilobytes(path, "Private_Dirty")

def held_workers():
    stopped_by, before = "cap", kilobytes("/proc/self/status", "VmRSS")
    with concurrent.futures.ProcessPoolExecutor(max_workers=count) as executor:
        watch, end = Watch(), time.monotonic() + seconds
        try:
            for _ in range(count):
                executor.submit(stay_until, end)
        except OSError as error:
            stopped_by = str(error)
        lap = watch.read()
        workers = multiprocessing.active_children()
        time.sleep(max(0.0, (end - time.monotonic()) / 2))  # all of them wait for a call by now
        memory = kilobytes("/proc/self/status", "VmRSS") - before
        memory += sum(private_memory(worker.pid) for worker in workers)
    return population(len(workers), lap, memory, stopped_by)
)python";

constexpr char switches[] = R"python(
round_trips = max(count, 100)

def one_cpu():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

def same(n):
    return n

def calls(executor, times):
    for i in range(100):
        executor.submit(same, i).result()
    watch = Watch()
    for i in range(times):
        executor.submit(same, i).result()
    return watch.read()["seconds"] / times

text = b"x" * (1 << 20)

def share(executor):
    executor.submit(len, text).result()
    watch = Watch()
    for _ in range(round_trips // 100):
        executor.submit(len, text).result()
    return watch.read()["seconds"] / (round_trips // 100)

def switch_threads():
    cpus = os.sched_getaffinity(0)
    one_cpu()
    ping, pong = threading.Lock(), threading.Lock()
    ping.acquire()
    pong.acquire()
    def other():
        for _ in range(round_trips):
            ping.acquire()
            pong.release()
    thread = threading.Thread(target=other)
    watch = Watch()
    thread.start()
    for _ in range(round_trips):
        ping.release()
        pong.acquire()
    thread.join()
    a_switch = watch.read()["seconds"] / (2 * round_trips)
    os.sched_setaffinity(0, cpus)
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:
        return {"switch_seconds": a_switch, "call_seconds": calls(executor, round_trips // 4),
                "share_seconds": share(executor)}

async def switch_coroutines():
    async def yield_often(times):
        for _ in range(times):
            await asyncio.sleep(0)
    watch = Watch()
    await asyncio.gather(yield_often(4 * round_trips), yield_often(4 * round_trips))
    a_switch = watch.read()["seconds"] / (8 * round_trips)
    async def answer(n):
        return n
    watch = Watch()
    for i in range(round_trips):
        await asyncio.create_task(answer(i))
    a_call = watch.read()["seconds"] / round_trips
    async def size_of(given):
        return len(given)
    watch = Watch()
    for _ in range(round_trips // 100):
        await asyncio.create_task(size_of(text))
    return {"switch_seconds": a_switch, "call_seconds": a_call,
            "share_seconds": watch.read()["seconds"] / (round_trips // 100)}

def switch_workers():
    cpus = os.sched_getaffinity(0)
    one_cpu()
    to_child, to_parent = os.pipe(), os.pipe()
    watch = Watch()
    child = os.fork()
    if child == 0:
        for _ in range(round_trips):
            os.read(to_child[0], 1)
            os.write(to_parent[1], b"x")
        os._exit(0)
    for _ in range(round_trips):
        os.write(to_child[1], b"x")
        os.read(to_parent[0], 1)
    os.waitpid(child, 0)
    a_switch = watch.read()["seconds"] / (2 * round_trips)
    os.sched_setaffinity(0, cpus)
    with concurrent.futures.ProcessPoolExecutor(max_workers=1) as executor:
        return {"switch_seconds": a_switch, "call_seconds": calls(executor, round_trips // 10),
                "share_seconds": share(executor)}
)python";

constexpr char end[] = R"python(
def requests_made(fetch, endpoint):
    watch = Watch()
    results = fetch()
    failed = [r for r in results if r != 200]
    result = dict(watch.read(), count=len(results), failed=len(failed), endpoint=endpoint)
    if failed:
        result["error"] = str(failed[0]) or type(failed[0]).__name__
    return result

def primes_found(test):
    watch = Watch()
    results = test()
    return dict(watch.read(), count=len(results), primes=sum(results))

def asyncio_endpoint():
    import aiohttp
    return "aiohttp " + aiohttp.__version__

result = {
    "requests-sequential": lambda: requests_made(fetch_sequential, endpoint),
    "requests-threads": lambda: requests_made(fetch_threaded, endpoint),
    "requests-coroutines": lambda: requests_made(lambda: asyncio.run(fetch_all(urls)), asyncio_endpoint()),
    "primes-sequential": lambda: primes_found(primes_sequential),
    "primes-threads": lambda: primes_found(primes_threads),
    "primes-processes": lambda: primes_found(primes_processes),
    "held-threads": held_threads,
    "held-coroutines": lambda: asyncio.run(held_coroutines()),
    "held-workers": held_workers,
    "switch-threads": switch_threads,
    "switch-coroutines": lambda: asyncio.run(switch_coroutines()),
    "switch-workers": switch_workers,
}[name]()
print(json.dumps(result), flush=True)
)python";

}  // namespace

std::string python_program() {
  return std::string(beginning) + article_requests + article_asyncio + article_primes +
         populations + switches + end;
}

}  // namespace plait::cli
