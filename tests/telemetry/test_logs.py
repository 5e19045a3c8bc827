"""Logs are JSON lines that know their trace, and nothing of a person."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway.logs import configure_logging
from gateway.settings import Settings
from resolvers.sources.embedded_build import prepare_store
from tests.gateway.client import running


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged at INFO."""
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, json=True)
    yield stream
    structlog.reset_defaults()


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


async def test_a_request_is_logged_with_the_trace_its_answer_names(written: io.StringIO, tmp_path: Path) -> None:
    prepare_store(tmp_path)
    async with running(Settings.model_validate({"data_dir": tmp_path})) as gateway:
        answer = await gateway.http.post("/graphql", json={"query": "{ segment { persona } }"})
    trace_id = answer.headers["traceresponse"].split("-")[1]
    (request,) = [line for line in lines(written) if line["event"] == "request"]
    assert request["trace_id"] == trace_id
    assert (request["route"], request["status"], request["level"]) == ("/graphql", 200, "info")


def test_members_that_may_be_personal_are_blanked(written: io.StringIO) -> None:
    structlog.get_logger().info("seen", customer_id="jane", token="secret", count=3)
    (line,) = lines(written)
    assert (line["customer_id"], line["token"], line["count"]) == ("[removed]", "[removed]", 3)


def test_what_an_error_says_stays_out(written: io.StringIO) -> None:
    try:
        raise ValueError("jane@example.org is not a number")
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
    assert "ValueError" in written.getvalue()
    assert "jane" not in written.getvalue()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("LOUD")
