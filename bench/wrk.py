"""What `wrk` sees of servers that take turns: requests a second, and milliseconds."""

import re
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CONNECTIONS = 8


@dataclass(slots=True)
class Found:
    """What `wrk` saw: requests a second, and milliseconds of p50 and p99, each round."""

    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rates)


@dataclass(frozen=True, slots=True)
class Target:
    """A server and what to send it: `bodies` in the order of `turns`, over and over, by visitors who take turns too.

    `visitors` gives their cookies, and is asked before each turn of the target: a cookie is renewed every minute.
    """

    port: int
    path: str
    bodies: Sequence[bytes]
    visitors: Callable[[], Sequence[str]] = lambda: ("",)
    turns: Sequence[int] = (0,)


def in_turns(
    directory: Path, targets: Mapping[str, Target], *, seconds: int, rounds: int, warm_up: int = 1
) -> dict[str, Found]:
    """What is found of each target, after so many seconds of warming up; scripts are written to the directory.

    Raises:
        RuntimeError: a server refused something.
    """
    found = {name: Found() for name in targets}
    for each in targets.values():
        _run(_command(directory / "script.lua", each), warm_up)
    for _ in range(rounds):
        for name, each in targets.items():
            _note(found[name], _run(_command(directory / "script.lua", each), seconds))
    return found


def _command(script: Path, target: Target) -> list[str]:
    script.write_text(_script(target))
    address = f"http://127.0.0.1:{target.port}{target.path}"
    return ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script), address]


def _script(target: Target) -> str:
    bodies = ",".join(_lua(body.decode()) for body in target.bodies)
    cookies = ",".join(_lua(cookie) for cookie in target.visitors())
    turns = ",".join(str(turn + 1) for turn in target.turns)
    return f"local bodies, cookies, turns = {{{bodies}}}, {{{cookies}}}, {{{turns}}}" + _IN_TURN


_IN_TURN: Final = """
local heads, at = {}, 0
for n, cookie in ipairs(cookies) do
  heads[n] = {["Content-Type"] = "application/json", ["Accept"] = "application/json"}
  if cookie ~= "" then heads[n]["Cookie"] = cookie end
end
local requests = {}
function init()
  for n, body in ipairs(bodies) do
    requests[n] = {}
    for m, head in ipairs(heads) do requests[n][m] = wrk.format("POST", nil, head, body) end
  end
end
function request()
  at = at + 1
  return requests[turns[at % #turns + 1]][at % #cookies + 1]
end
"""


def _lua(text: str) -> str:
    return f"[==[{text}]==]"


def _run(command: Sequence[str], seconds: int) -> str:
    return subprocess.run([*command, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout


def _note(found: Found, report: str) -> None:
    if "Non-2xx" in report:
        raise RuntimeError(report)
    found.rates.append(float(_match(r"Requests/sec:\s+([\d.]+)", report)[1]))
    found.p50.append(_milliseconds(_match(r"50%\s+([\d.]+)(us|ms|s)", report)))
    found.p99.append(_milliseconds(_match(r"99%\s+([\d.]+)(us|ms|s)", report)))


def _match(pattern: str, report: str) -> re.Match[str]:
    found = re.search(pattern, report)
    if found is None:
        raise RuntimeError(report)
    return found


def _milliseconds(found: re.Match[str]) -> float:
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
