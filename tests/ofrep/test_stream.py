"""The stream of notices of a running gateway, from a file that is saved to the event that a client reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.flags.writing import flag, write
from tests.gateway.server import gateway_process
from tests.ofrep.asking import BULK, FLAGS
from tests.ofrep.conftest import Served

EVENTS = "/ofrep/v1/events"
PATIENCE_S = 20.0
Event = dict[str, str]


@contextmanager
def listening(url: str, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of the stream as they come; those without data are only an id."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.stream("GET", url, headers=named, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[Event]:
    event: Event = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            event[name] = value
        else:
            yield event
            event = {}


def _changed(served: Served, name: str) -> None:
    write(served.flags_dir, {**FLAGS, name: flag()})


def _address(served: Served) -> str:
    bulk = httpx.post(f"{served.url}{BULK}", json={}).json()
    return str(served.url + bulk["eventStreams"][0]["endpoint"]["requestUri"])


def test_a_saved_file_is_told_and_the_next_answer_is_the_new_one(served: Served) -> None:
    with listening(_address(served)) as events:
        greeting = next(events)
        _changed(served, "another")
        notice = next(events)
    assert notice["event"] == "message"
    data = orjson.loads(notice["data"])
    assert data == {"type": "refetchEvaluation", "etag": notice["id"]}
    assert notice["id"] != greeting["id"]
    bulk = httpx.post(f"{served.url}{BULK}", params={"flagConfigEtag": data["etag"]}, json={}).json()
    assert "another" in [each["key"] for each in bulk["flags"]]
    assert bulk["eventStreams"][0]["endpoint"]["requestUri"] == f"{EVENTS}?since={data['etag']}"


def test_a_client_that_was_away_is_told_of_what_it_missed(served: Served) -> None:
    address = _address(served)
    with listening(address) as events:
        before = next(events)["id"]
        _changed(served, "another")
        after = next(events)["id"]
    with listening(address) as events:  # opened late: the address tells what its answer stood on
        assert next(events) == {"retry": "2000"}
        assert next(events)["id"] == after
    with listening(address, last_event_id=after) as events:  # comes again: what it was told last counts
        assert next(events) == {"retry": "2000", "id": after}
    with listening(address, last_event_id=before) as events:
        next(events)
        assert next(events)["id"] == after


def test_a_stream_does_not_hold_up_the_end(catalogue: Path, tmp_path: Path) -> None:
    (tmp_path / catalogue.name).hardlink_to(catalogue)
    with gateway_process(tmp_path) as url:
        answer = httpx.Client(timeout=PATIENCE_S).stream("GET", f"{url}{EVENTS}")
        lines = answer.__enter__().iter_lines()
        assert next(lines) == "retry: 2000"
    # Whoever is cut off gets an error here; this one was told that it is over.
    assert [line for line in lines if line.startswith("data")] == []
    answer.__exit__(None, None, None)


@pytest.mark.parametrize(("streams", "status", "code"), [("0", 503, "OVERLOADED")])
def test_streams_are_refused_where_there_are_none(
    catalogue: Path, tmp_path: Path, streams: str, status: int, code: str
) -> None:
    (tmp_path / catalogue.name).hardlink_to(catalogue)
    with gateway_process(tmp_path, ofrep_streams=streams) as url:
        answer = httpx.get(f"{url}{EVENTS}")
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["retry-after"] == "5"
        forged = httpx.get(f"{url}{EVENTS}", headers={"Authorization": "Bearer forged"})
        assert (forged.status_code, forged.json()["code"]) == (401, "INVALID_TOKEN")
