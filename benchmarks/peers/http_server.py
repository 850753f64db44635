"""aiohttp's server, for the server's row: /get answers with small JSON. usage: http_server.py PORT [uvloop]"""

import asyncio
import sys

from aiohttp import web

SMALL_JSON = (b'{"args": {}, "headers": {"Accept": "*/*", "Host": "127.0.0.1"}, "origin": "127.0.0.1", '
              b'"url": "http://127.0.0.1/get", "pad": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}\n')


async def get(_):
    return web.Response(body=SMALL_JSON, content_type="application/json")


async def serve(port):
    application = web.Application()
    application.router.add_get("/get", get)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print("listening on 127.0.0.1:%d" % runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop
        uvloop.install()
    asyncio.run(serve(int(sys.argv[1])))
