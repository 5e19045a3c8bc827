"""Run the shop: `python -m tests.sources.oscar_shop.serve [port]` prints the port it listens on, then serves.

Each request has its own thread, like in a shop with several workers. It stops when its standard input closes, so that
it never outlives the tests.
"""

import os
import sys
import threading

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


class Handler(WSGIRequestHandler):  # type: ignore[misc]
    """Answers at once: head and body of an answer are two packets, and the second would wait for an acknowledgement."""

    disable_nagle_algorithm = True


class Server(ThreadedWSGIServer):  # type: ignore[misc]
    """Takes as many connections at once as a gateway opens."""

    request_queue_size = 128


def main() -> None:
    """Serve until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.sources.oscar_shop.settings")
    django.setup(set_prefix=False)
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    server.set_app(WSGIHandler())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main()
