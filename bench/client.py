"""A small HTTP client that costs little, so that what is measured is the server: one request after another."""

import asyncio
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter

import orjson


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to be sent any number of times, to a server on this machine."""

    port: int
    payload: bytes

    @classmethod
    def graphql(cls, port: int, query: str, variables: dict[str, object], headers: dict[str, str]) -> "Call":
        """A POST of an operation."""
        return cls.post(port, "/graphql", {"query": query, "variables": variables}, headers)

    @classmethod
    def post(cls, port: int, path: str, content: dict[str, object], headers: dict[str, str]) -> "Call":
        """A POST of JSON."""
        body = orjson.dumps(content)
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return cls(port, f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)


@dataclass(slots=True)
class Timings:
    """Seconds of each request, in order."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.seconds)

    @property
    def p99(self) -> float:
        """The 99th percentile."""
        return quantiles(self.seconds, n=100)[98]


class Connection:
    """A connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to a server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 22))

    async def send(self, call: Call) -> bytes:
        """Send and read the whole answer; anything but a 200 with a length raises `RuntimeError`."""
        self._writer.write(call.payload)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]
        body = await self._reader.readexactly(int(length))
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"answered {head.splitlines()[0].decode()}: {body[:200].decode(errors='replace')}")
        return body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def measure(calls: dict[str, Call], *, rounds: int, each: int) -> dict[str, Timings]:
    """Time all calls in turns: `rounds` times `each` requests of every one, so that drift hits all alike."""
    connections = {name: await Connection.open(call.port) for name, call in calls.items()}
    timings = {name: Timings() for name in calls}
    try:
        for round_ in range(rounds + 1):
            for name, call in calls.items():
                for _ in range(each):
                    began = perf_counter()
                    await connections[name].send(call)
                    if round_ > 0:  # the first round warms up
                        timings[name].seconds.append(perf_counter() - began)
    finally:
        for connection in connections.values():
            connection.close()
    return timings
