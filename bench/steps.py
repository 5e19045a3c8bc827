"""What a warm personalized home query is made of, below the HTTP server: `python -m bench.steps [--rounds N]`.

Each step is run by itself in this process, with everything kept; the least of many rounds is printed, since what is
above it is the machine's doing and not ours. "Whole" is what the server calls; its parts are indented below it.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import orjson
from opentelemetry.trace import SpanContext
from starlette.types import ASGIApp, Message, Scope

from bench.home import HOME, PERSONALIZED
from gateway.app import gateway_of
from gateway.assembly import Assembly
from gateway.at_hand import at_hand
from gateway.logs import configure_logging
from gateway.settings import Settings
from gateway.short_way import Shortcut
from gateway.telemetry import build_telemetry
from personalization.clock import SystemClock
from personalization.decision.question import Question
from personalization.events import DecisionContext, ShelfAction
from resolvers.plans import Turn
from resolvers.sources.embedded_build import prepare_store

EACH = 50
"""Runs of a step in a round."""

Step = Callable[[], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help=f"rounds of {EACH} runs of each step (200)")
    options = parser.parse_args()
    configure_logging("ERROR")
    with tempfile.TemporaryDirectory() as directory:
        least = asyncio.run(_measured(Path(directory), options.rounds))
    whole = least["whole"]
    for name, seconds in least.items():
        print(f"{name:44}{seconds * 1e6:8.1f} us{seconds / whole:8.0%}")


async def _measured(directory: Path, rounds: int) -> dict[str, float]:
    prepare_store(directory)
    settings = Settings(data_dir=directory, learning=False)
    assembly = Assembly(settings, build_telemetry(settings), SystemClock())
    app = gateway_of(assembly)
    async with app.router.lifespan_context(app):
        asking = await Asking.prepared(app)
        shortcut = assembly.shortcut()
        if shortcut is None:
            raise RuntimeError("the short way is not open")
        steps = _steps(app, asking, shortcut, assembly)
        least = dict.fromkeys(steps, float("inf"))
        for _ in range(rounds):
            for name, step in steps.items():
                least[name] = min(least[name], _seconds(step))
            await asyncio.sleep(0.002)  # the journal writes what was decided
        return least


def _seconds(step: Step) -> float:
    began = perf_counter()
    for _ in range(EACH):
        step()
    return (perf_counter() - began) / EACH


class Asking:
    """A visitor who asks for the home page."""

    def __init__(self, body: bytes, cookie: bytes) -> None:
        self.body = body
        self._cookie = cookie

    @classmethod
    async def prepared(cls, app: ASGIApp) -> "Asking":
        """One for whom everything is kept."""
        variables = {"products": 20, "shelf": 12, **PERSONALIZED}
        body = orjson.dumps({"query": HOME.read_text(), "variables": variables})
        newcomer = cls(body, b"")
        headers = dict((await newcomer.ask(app))[0]["headers"])
        asking = cls(body, bytes(headers[b"set-cookie"]).partition(b";")[0])
        for _ in range(100):
            await asking.ask(app)
        return asking

    def scope(self) -> Scope:
        """What the server makes of the request's head."""
        headers = [
            (b"host", b"127.0.0.1:8000"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            *([(b"cookie", self._cookie)] if self._cookie else []),
        ]
        line = {"type": "http", "http_version": "1.1", "scheme": "http", "method": "POST", "path": "/graphql"}
        return {**line, "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "headers": headers}

    async def receive(self) -> Message:
        """The body, whole."""
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def ask(self, app: ASGIApp) -> list[Message]:
        """The messages of an answer."""
        messages: list[Message] = []
        bodies = iter([await self.receive()])

        async def receive() -> Message:
            message = next(bodies, None)
            return message if message is not None else await asyncio.Event().wait() and {}

        async def send(message: Message) -> None:
            messages.append(message)

        await app(self.scope(), receive, send)
        return messages


async def _unsent(_message: Message) -> None:
    """Where answers go that nobody reads."""


def _steps(app: ASGIApp, asking: Asking, shortcut: Shortcut, assembly: Assembly) -> Mapping[str, Step]:
    """The steps, from the whole to its parts."""
    scope, message = asking.scope(), {"type": "http.request", "body": asking.body, "more_body": False}
    span = SpanContext(1, 1, is_remote=False)
    caller = shortcut.caller(scope)
    whole = shortcut.answer(caller, [message], span) if caller is not None else None
    asked = assembly.opened.graphql.known(asking.body)
    if caller is None or whole is None or asked is None:
        raise RuntimeError("the home query does not go the short way")
    viewer, plan = caller.viewer, shortcut._plans[(caller.kind, asked.ready)].plan
    decisions = assembly.opened.visits.personalization.decisions
    context, actions = DecisionContext("HOME", persona="VISITOR", region="US-NE"), tuple(map(str, ShelfAction))
    question = Question(context, actions, subject="visitor:1", session="1", trace_id="1" * 32)
    lottery, turn = decisions.lottery(question), Turn("visitor:1", "1", span, "1" * 32)
    drawn = lottery.draw(turn)
    return {
        "whole": lambda: at_hand(app(asking.scope(), asking.receive, _unsent)),
        "  headers to the caller": lambda: shortcut.caller(scope),
        "  body to the operation": lambda: assembly.opened.graphql.known(asking.body),
        "  answer": lambda: shortcut.answer(caller, [message], span),
        "    look-ups, decision, completion": lambda: plan.answer(Turn(viewer.subject, viewer.session, span, "1" * 32)),
        "      a decision": lambda: lottery.draw(turn),
        "    recorded": lambda: decisions.journal(drawn, span),
    }


if __name__ == "__main__":
    main()
