"""asyncio, and uvloop when asked, for the coroutines' rows."""

import asyncio

from measurement import Arguments, Stopwatch, report, run_mode, status_kb


async def child(i):
    return i & 7


def finish(given, n, watch, total=0):
    report(given.mode, "uvloop" if given.uvloop else "asyncio", n, watch.read(), sum=total)


async def await_child(given):
    n = given.n_or(1_000_000)
    total = 0
    watch = Stopwatch()
    for i in range(n):
        total += await child(i)
    finish(given, n, watch, total)


async def spawn_join(given):
    n = given.n_or(100_000)
    total = 0
    watch = Stopwatch()
    for i in range(n):
        total += await asyncio.create_task(child(i))
    finish(given, n, watch, total)


async def switch(given):
    n = given.n_or(300_000)

    async def yield_often():
        for _ in range(n // 2):
            await asyncio.sleep(0)

    watch = Stopwatch()
    await asyncio.gather(yield_often(), yield_often())
    finish(given, n, watch)


async def sleepers(given):
    n = given.n_or(100_000)
    before_kb = status_kb("VmHWM")
    watch = Stopwatch()
    tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(n)]
    for task in tasks:
        await task
    lap = watch.read()
    report(given.mode, "uvloop" if given.uvloop else "asyncio", n, lap,
           bytes=1024 * (status_kb("VmHWM") - before_kb) / n, over_one_second=lap[0] - 1)


async def semaphore(given):
    n = given.n_or(100_000)
    permits = asyncio.Semaphore(10)

    async def use_permits():
        for _ in range(n // 100):
            async with permits:
                await asyncio.sleep(0)

    watch = Stopwatch()
    await asyncio.gather(*(use_permits() for _ in range(100)))
    finish(given, n, watch)


async def bounded_queue(given):
    n = given.n_or(300_000)
    items = asyncio.Queue(1024)

    async def produce():
        for i in range(n):
            await items.put(i)
        for _ in range(3):
            await items.put(None)

    async def consume():
        while await items.get() is not None:
            pass

    watch = Stopwatch()
    await asyncio.gather(produce(), consume(), consume(), consume())
    finish(given, n, watch)


async def timers(given):
    n = given.n_or(300_000)
    loop = asyncio.get_running_loop()
    alive = [None] * 1000
    watch = Stopwatch()
    for i in range(n):
        k = i % 1000
        if alive[k]:
            alive[k].cancel()
        alive[k] = loop.call_later(10 + k / 1000, print)
        if k == 0:
            await asyncio.sleep(0)
    finish(given, n, watch)
    for handle in filter(None, alive):
        handle.cancel()


def on_a_loop(mode):
    return lambda given: asyncio.run(mode(given))


if __name__ == "__main__":
    if Arguments().uvloop:
        import uvloop
        uvloop.install()
    run_mode({name: on_a_loop(mode) for name, mode in
              {"await_child": await_child, "spawn_join": spawn_join, "switch": switch,
               "sleepers": sleepers, "sem": semaphore, "chan": bounded_queue,
               "timers": timers}.items()})
