"""Python's HTTP clients. usage: http_client.py MODE N CONCURRENCY HOST:PORT CLIENT [uvloop]

CLIENT is aiohttp or httpx (without their default limits of 100 connections) for the modes delay, keep_alive and tls,
httpx for h2 (HTTP/2), requests for keep_alive (one session on one thread), and urllib or requests for the mode threads.
"""

import asyncio
import resource
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from measurement import Stopwatch, report, status_kb


def finish(mode, name, n, watch, before_kb, good):
    lap = watch.read()
    if good != n:
        sys.exit(f"{name}: {good} of {n} responses were good")
    report(mode, name, n, lap, per_second=n / lap[0], cpu_us=lap[1] * 1e6 / n,
           kb_each=(status_kb("VmHWM") - before_kb) / n)


async def with_aiohttp(mode, name, n, concurrency, url):
    import aiohttp
    before_kb = status_kb("VmHWM")
    watch = Stopwatch()
    left = iter(range(n))
    good = 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0),
                                     timeout=aiohttp.ClientTimeout(total=None)) as session:
        async def fetch():
            nonlocal good
            for _ in left:
                async with session.get(url) as response:
                    await response.text()
                    good += response.status == 200

        await asyncio.gather(*(fetch() for _ in range(concurrency)))
    finish(mode, name, n, watch, before_kb, good)


async def with_httpx(mode, name, n, concurrency, url):
    import httpx
    before_kb = status_kb("VmHWM")
    watch = Stopwatch()
    left = iter(range(n))
    good = 0
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=None, http2=mode == "h2") as session:
        async def fetch():
            nonlocal good
            for _ in left:
                response = await session.get(url)
                good += response.status_code == 200 and (mode != "h2" or response.http_version == "HTTP/2")

        await asyncio.gather(*(fetch() for _ in range(concurrency)))
    finish(mode, name, n, watch, before_kb, good)


def with_a_session(mode, name, n, url):
    import requests
    before_kb = status_kb("VmHWM")
    watch = Stopwatch()
    with requests.Session() as session:
        good = sum(session.get(url).status_code == 200 for _ in range(n))
    finish(mode, name, n, watch, before_kb, good)


def fetch_with(client):
    """A function that fetches a URL and says whether the answer was good."""
    if client == "requests":
        import requests
        return lambda url: requests.get(url).status_code == 200

    def fetch(url):
        with urllib.request.urlopen(url) as response:
            response.read()
            return response.status == 200
    return fetch


def on_threads(mode, name, n, concurrency, url):
    fetch = fetch_with(name)
    before_kb = status_kb("VmHWM")
    watch = Stopwatch()
    with ThreadPoolExecutor(concurrency) as executor:
        good = sum(executor.map(fetch, [url] * n))
    finish(mode, name, n, watch, before_kb, good)


def main():
    mode, n, concurrency, target, client = sys.argv[1:6]
    n, concurrency = int(n), int(concurrency)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    scheme = "https" if mode in ("tls", "h2") else "http"
    url = f"{scheme}://{target}" + ("/delay/1" if mode in ("delay", "threads") else "/get")
    if mode == "threads":
        return on_threads(mode, client, n, concurrency, url)
    if client == "requests":
        return with_a_session(mode, client, n, url)
    if "uvloop" in sys.argv:
        import uvloop
        uvloop.install()
        client += "_uvloop"
    asynchronous = with_httpx if client == "httpx" else with_aiohttp
    return asyncio.run(asynchronous(mode, client, n, n if mode == "delay" else concurrency, url))


if __name__ == "__main__":
    main()
