"""304 is answered to whoever has these very answers, and to nobody else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.subject import Subject
from gateway.ofrep_wire import etag_of, matches, state_of
from tests.flags.writing import flag, read, write
from tests.gateway.client import GatewayClient
from tests.ofrep.asking import BULK, FLAGS, every
from tests.ofrep.conftest import Open

WORDS = st.text(max_size=5)
ATTRIBUTES = st.dictionaries(WORDS, WORDS | st.booleans() | st.integers(-9, 9), max_size=3)
FLAGS_TOLD = st.lists(st.fixed_dictionaries({"key": WORDS, "metadata": st.dictionaries(WORDS, WORDS, max_size=2)}))
STATES = st.tuples(st.none() | WORDS, ATTRIBUTES, WORDS, WORDS, FLAGS_TOLD)


async def test_the_same_viewer_has_it_already(gateway: GatewayClient) -> None:
    token = gateway.token("7")
    first = await every(gateway, {"season": "WINTER"}, token)
    again = await every(gateway, {"season": "WINTER"}, token, etag=first.headers["etag"])
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert gateway.counted("gateway_ofrep_answers_total", operation="flags", code="NOT_MODIFIED") == 1


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"segment": "collectors"}, {"segment": "beginners"}),
        ({"segment": "beginners"}, {"segment": "newcomers"}),  # the same variants, and yet another subject
        ({"season": "WINTER"}, {"season": "SUMMER"}),
        ({"persona": "BUILDER"}, {"persona": "VISITOR"}),
        ({"appVersion": "2.0.0"}, {"appVersion": "2.0.1"}),
        ({"targetingKey": "7"}, {"targetingKey": "8"}),
    ],
)
async def test_another_subject_does_not_even_with_the_same_key(
    gateway: GatewayClient, first: dict[str, str], then: dict[str, str]
) -> None:
    token = gateway.token("7", scope="preview")
    had = (await every(gateway, first, token)).headers["etag"]
    answer = await every(gateway, then, token, etag=had)
    assert answer.status_code == 200
    assert answer.headers["etag"] != had


async def test_a_new_visitor_does_not(gateway: GatewayClient) -> None:
    had = (await every(gateway)).headers["etag"]
    gateway.http.cookies.clear()
    assert (await every(gateway, etag=had)).status_code == 200


async def test_other_definitions_are_another_answer(open_gateway: Open) -> None:
    async with open_gateway() as gateway:
        had = (await every(gateway, token=gateway.token("7"))).headers["etag"]
        flags_dir = gateway.settings.flags_dir
    assert flags_dir is not None
    write(flags_dir, {**FLAGS, "another": flag()})
    async with open_gateway() as gateway:
        assert (await every(gateway, token=gateway.token("7"), etag=had)).status_code == 200


@pytest.mark.parametrize("given", ['"{}"', "{}", 'W/"{}"', '"other", "{}"', 'W/"other",{}'])
async def test_conditions_are_lists_of_tags_quoted_or_not(gateway: GatewayClient, given: str) -> None:
    token = gateway.token("7")
    tag = (await every(gateway, token=token)).headers["etag"].removeprefix("W/").strip('"')
    assert (await every(gateway, token=token, etag=given.format(tag))).status_code == 304


@pytest.mark.parametrize("condition", [None, "", "*", '"other"', '"a'])
def test_other_conditions_do_not_match(condition: str | None) -> None:
    assert not matches(condition, '"abc"')


@given(STATES, STATES)
def test_whatever_differs_is_in_the_tag(one: Any, other: Any) -> None:
    tags = [etag_of(Subject(key, attributes), *rest) for key, attributes, *rest in (one, other)]
    assert (tags[0] == tags[1]) == _alike(one, other)


def _alike(one: Any, other: Any) -> bool:
    """Whether two states are the same but for the order of attributes and members; `True` is not 1."""
    ordered = [(state[0], sorted((n, repr(v)) for n, v in state[1].items()), *state[2:]) for state in (one, other)]
    return bool(ordered[0] == ordered[1])


@given(WORDS, WORDS)
def test_a_state_is_that_of_the_definitions(definitions: str, other: str) -> None:
    assert (state_of(definitions) == state_of(other)) == (definitions == other)


def test_a_tag_needs_no_order_of_attributes() -> None:
    subject = Subject("customer:7", {"persona": "BUILDER", "device": "PHONE"})
    turned = replace(subject, attributes=dict(reversed(tuple(subject.attributes.items()))))
    assert etag_of(subject, "d", "p", []) == etag_of(turned, "d", "p", [])


def test_a_tag_does_not_change_with_the_hour() -> None:
    flags = [[{"key": "hero", "metadata": {"exposureId": each}}] for each in ("e-1", "e-2")]
    tags = {etag_of(Subject("customer:7"), "d", "p", each) for each in flags}
    assert len(tags) == 1


async def test_a_decision_that_is_kept_is_the_same_answer(open_gateway: Open, flags_dir: Path) -> None:
    write(flags_dir, {"hero": flag(metadata={"personalized": True, "holdback": 0})})
    async with open_gateway() as gateway:
        await every(gateway)  # the cookie that the decision sticks to
        first = await every(gateway)
        again = await every(gateway, etag=first.headers["etag"])
    (hero,) = first.json()["flags"]
    assert (hero["reason"], hero["metadata"]["decidedBy"]) == ("SPLIT", "BANDIT")
    assert hero["metadata"].keys() >= {"decisionId", "probability", "policy", "exposureId"}
    assert again.status_code == 304


async def test_a_state_that_another_process_told_of_is_what_the_answer_stands_on(open_gateway: Open) -> None:
    async with open_gateway() as gateway:
        flags_dir = gateway.settings.flags_dir
        assert flags_dir is not None
        write(flags_dir, {**FLAGS, "another": flag()})
        coming = state_of(read(flags_dir).version)
        answer = await gateway.http.post(BULK, params={"flagConfigEtag": coming}, json={})
    assert "another" in [each["key"] for each in answer.json()["flags"]]
    assert answer.json()["eventStreams"][0]["endpoint"]["requestUri"].endswith(coming)
