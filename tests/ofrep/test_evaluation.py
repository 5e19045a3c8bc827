"""What clients are answered: in the words of the protocol, whatever comes of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flags.evaluation import Decider, Evaluation
from flags.layers import Answer
from flags.preview import Preview, PreviewTokens
from gateway.keys import derived, keys_of
from gateway.ofrep_wire import reason, told
from gateway.settings import Settings
from gateway.telemetry import build_telemetry
from personalization.clock import SystemClock
from personalization.events import Decision, DecisionContext, DecisionMode
from tests.gateway.client import GatewayClient, running
from tests.ofrep.asking import BULK, FLAGS, SINGLE, every, one, variant
from tests.ofrep.conftest import Open

JSON = {"Content-Type": "application/json"}


async def test_one_flag_is_answered_with_who_decided(gateway: GatewayClient) -> None:
    answer = await one(gateway, "by-season", {"season": "WINTER"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    definitions, exposure = body["metadata"].pop("definitions"), body["metadata"].pop("exposureId")
    assert body == {
        "key": "by-season",
        "reason": "TARGETING_MATCH",
        "variant": "v2",
        "value": "v2",
        "metadata": {"decidedBy": "RULE"},
    }
    assert len(definitions) == 64
    assert exposure in [event["id"] for event in await gateway.events("exposures")]


@pytest.mark.parametrize(
    ("key", "value"),
    [("switch", True), ("count", 3), ("rate", 0.25), ("banner", "v1"), ("layout", {"columns": 4, "sticky": True})],
)
async def test_values_keep_their_types(gateway: GatewayClient, key: str, value: object) -> None:
    body = (await one(gateway, key)).json()
    assert body["value"] == value
    assert type(body["value"]) is type(value)
    assert body["reason"] == "STATIC"


@pytest.mark.parametrize(("key", "why"), [("off", "DISABLED"), ("code-default", "DEFAULT")])
async def test_without_a_value_the_client_takes_its_own(gateway: GatewayClient, key: str, why: str) -> None:
    body = (await one(gateway, key)).json()
    assert "value" not in body
    assert (body["reason"], body["variant"]) == (why, "")


async def test_a_flag_that_is_not_there_is_not_found(gateway: GatewayClient) -> None:
    for key in ("nobody", "a/b", "", "a%0Ab"):
        answer = await one(gateway, key)
        assert answer.status_code == 404
        body = answer.json()
        assert (body["key"], body["errorCode"], body["code"]) == (unquote(key), "FLAG_NOT_FOUND", "FLAG_NOT_FOUND")


async def test_a_rule_that_fails_is_a_failure_of_its_flag_alone(gateway: GatewayClient) -> None:
    context = {"appVersion": 0}
    single = await one(gateway, "breaks", context)
    assert single.status_code == 400
    failure = single.json()
    assert (failure["key"], failure["errorCode"]) == ("breaks", "GENERAL")
    assert failure["errorDetails"] == "the rule failed: ZeroDivisionError"
    bulk = await every(gateway, context)
    assert bulk.status_code == 200
    by_key = {each["key"]: each for each in bulk.json()["flags"]}
    del failure["metadata"]["definitions"]  # a bulk answer has it once
    assert by_key["breaks"] == failure
    assert [key for key, each in by_key.items() if "errorCode" in each] == ["breaks"]


async def test_all_flags_are_answered_alike_and_say_where_changes_are_told(gateway: GatewayClient) -> None:
    context = {"season": "WINTER", "targetingKey": None}
    await every(gateway)  # the visitor cookie: from here on it is one visitor who asks
    bulk = (await every(gateway, context)).json()
    assert [each["key"] for each in bulk["flags"]] == list(FLAGS)
    for each in bulk["flags"]:
        single = (await one(gateway, each["key"], context)).json()
        assert single["metadata"].pop("definitions") == bulk["metadata"]["definitions"]
        assert single == each
    (stream,) = bulk["eventStreams"]
    assert stream["type"] == "sse"
    assert stream["inactivityDelaySec"] == 120
    path, _, since = stream["endpoint"]["requestUri"].partition("?since=")
    assert path == "/ofrep/v1/events"
    assert len(since) == 32
    assert bulk["metadata"].keys() == {"definitions", "policy"}


@pytest.mark.parametrize("path", [BULK, f"{SINGLE}banner"])
@pytest.mark.parametrize(
    ("content", "headers", "status", "error_code", "code"),
    [
        (b"", JSON, 400, "PARSE_ERROR", "BAD_REQUEST"),
        (b"{", JSON, 400, "PARSE_ERROR", "BAD_REQUEST"),
        (b"[]", JSON, 400, "PARSE_ERROR", "BAD_REQUEST"),
        (b"{}", {}, 415, "PARSE_ERROR", "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, 415, "PARSE_ERROR", "UNSUPPORTED_MEDIA_TYPE"),
        (b"{}", {**JSON, "Authorization": "Bearer forged"}, 401, "GENERAL", "INVALID_TOKEN"),
        (b'{"context": []}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"targetingKey": 7}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"targetingKey": ""}}', JSON, 400, "TARGETING_KEY_MISSING", "BAD_USER_INPUT"),
        (b'{"context": {"persona": "KING"}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"region": "a b"}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"device": {}}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"supports": [{"name": "hero"}]}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"cart": {"items": 2}}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"$flagd": 1}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"note": "' + b"x" * 257 + b'"}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"number": 9007199254740993}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"number": 1e300}}', JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (orjson.dumps({"context": {f"a{n}": n for n in range(65)}}), JSON, 400, "INVALID_CONTEXT", "BAD_USER_INPUT"),
        (b'{"context": {"segment": "collectors"}}', JSON, 403, "INVALID_CONTEXT", "FORBIDDEN_CONTEXT"),
        (b'{"pad": "' + b"x" * 262_144 + b'"}', JSON, 413, "GENERAL", "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_what_is_wrong_with_a_request_is_told_in_both_words(
    gateway: GatewayClient,
    path: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    error_code: str,
    code: str,
) -> None:
    answer = await gateway.http.post(path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["errorCode"], body["code"]) == (error_code, code)
    assert body["errorDetails"]
    assert body.get("key") == (None if path == BULK else "banner")
    operation = "flags" if path == BULK else "flag"
    assert gateway.counted("gateway_ofrep_answers_total", operation=operation, code=code) == 1


async def test_a_body_that_does_not_come_is_not_waited_for(open_gateway: Open) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async with open_gateway(request_timeout_ms=100) as gateway:
        answer = await gateway.http.post(BULK, content=body(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (408, "REQUEST_INCOMPLETE")


async def test_while_the_shop_is_down_everyone_gets_the_default_and_is_told(open_gateway: Open) -> None:
    secrets = {"token_key": "k" * 32, "cookie_key": "c" * 32}
    async with open_gateway(source="http", upstream_url="http://127.0.0.1:9", **secrets) as gateway:
        token = gateway.token("1", role="BUILDER")
        single = (await one(gateway, "by-persona", {}, token)).json()
        bulk = (await every(gateway, {}, token)).json()
    assert (single["variant"], single["metadata"]["mode"]) == ("v1", "FALLBACK")
    assert bulk["metadata"]["mode"] == "FALLBACK"
    assert all(each["metadata"]["mode"] == "FALLBACK" for each in bulk["flags"])


async def test_pages_of_other_origins_can_ask(open_gateway: Open) -> None:
    async with open_gateway(cors_origins="https://shop.example") as gateway:
        asks = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,if-none-match,authorization",
        }
        assert (await gateway.http.options(BULK, headers=asks)).status_code == 200
        answer = await gateway.http.post(BULK, json={}, headers={"Origin": "https://shop.example"})
    assert "ETag" in answer.headers["access-control-expose-headers"]


async def test_what_is_asked_is_traced_without_the_subject(data_dir: Path, flags_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, flags_dir=flags_dir)
    exporter = InMemorySpanExporter()
    tracer = build_telemetry(settings, exporter=exporter).tracer
    async with running(settings, tracer) as gateway:
        token = gateway.token("7")
        await one(gateway, "by-key", {"targetingKey": "7", "note": "jane-4711"}, token)
        await every(gateway, {"appVersion": 0}, token)
        await one(gateway, "jane-4711", {}, token)
    spans = {span.name: dict(span.attributes or {}) for span in exporter.get_finished_spans()}
    assert spans["ofrep flags"] == {"gateway.flags": len(FLAGS), "gateway.flags.failed": 1}
    kept = [dict(span.attributes or {}) for span in exporter.get_finished_spans() if span.name == "ofrep flag"]
    assert kept[0] == {
        "feature_flag.key": "by-key",
        "feature_flag.result.reason": "targeting_match",
        "feature_flag.result.variant": "v2",
        "gateway.decided_by": "RULE",
    }
    assert "jane-4711" not in "".join(span.to_json() for span in exporter.get_finished_spans())


async def test_free_attributes_reach_rules(gateway: GatewayClient) -> None:
    assert await variant(gateway, "by-version", {"appVersion": "2.1.0", "unused": True}) == "v2"
    assert await variant(gateway, "by-version", {"appVersion": "1.9.0"}) == "v1"


def an_answer(decided_by: Decider, because: Reason, **rest: Any) -> Answer:
    return Answer(Evaluation("hero", "v2", "v2", because, decided_by, "d" * 64), **rest)


@pytest.mark.parametrize(
    ("decided_by", "given", "shown"),
    [
        (Decider.KILL_SWITCH, Reason.DISABLED, "DISABLED"),
        (Decider.OVERRIDE, Reason.STATIC, "TARGETING_MATCH"),
        (Decider.RULE, Reason.TARGETING_MATCH, "TARGETING_MATCH"),
        (Decider.RULE, Reason.SPLIT, "SPLIT"),
        (Decider.HOLDBACK, Reason.DEFAULT, "SPLIT"),
        (Decider.EXPERIMENT, Reason.UNKNOWN, "SPLIT"),
        (Decider.BANDIT, Reason.UNKNOWN, "SPLIT"),
        (Decider.DEFAULT, Reason.STATIC, "STATIC"),
        (Decider.DEFAULT, Reason.DEFAULT, "DEFAULT"),
        (Decider.DEFAULT, Reason.STALE, "UNKNOWN"),
    ],
)
def test_reasons_stay_within_the_protocol(decided_by: Decider, given: Reason, shown: str) -> None:
    assert reason(an_answer(decided_by, given)) == shown


def test_a_decision_is_told_with_what_outcomes_refer_to() -> None:
    decision = Decision(
        id="d-1",
        at=SystemClock().now(),
        context=DecisionContext("component:hero"),
        actions=("v1", "v2"),
        distribution=(0.25, 0.75),
        action="v2",
        probability=0.75,
        policy="uniform@1",
        mode=DecisionMode.ONLINE,
        reason="sampled",
    )
    answer = an_answer(Decider.BANDIT, Reason.SPLIT, decision=decision, exposure_id="e-1", why="DOWNGRADED")
    assert told(answer, {})["metadata"] == {
        "decidedBy": "BANDIT",
        "decisionId": "d-1",
        "exposureId": "e-1",
        "probability": 0.75,
        "policy": "uniform@1",
        "why": "DOWNGRADED",
    }
    assert told(replace(answer, why="STICKY"), {}) == told(replace(answer, why=None), {})


@pytest.mark.parametrize("code", list(ErrorCode))
def test_failures_keep_to_the_codes_of_the_protocol(code: ErrorCode) -> None:
    failure = Evaluation("hero", None, None, Reason.ERROR, Decider.DEFAULT, "d" * 64, {}, code, "no")
    allowed = {"FLAG_NOT_FOUND", "PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"}
    shown = told(Answer(failure), {})["errorCode"]
    assert shown in allowed
    assert shown in (code.value, "GENERAL")


async def test_a_preview_forces_variants_and_nothing_is_recorded_of_it(gateway: GatewayClient) -> None:
    key = derived(keys_of(gateway.settings).cookie, "preview")
    until = SystemClock().now() + timedelta(hours=1)
    gateway.http.headers["Preview-Token"] = PreviewTokens(key).mint(Preview("anna", {"banner": "v2"}, until))
    metadata = {each["key"]: each["metadata"] for each in (await every(gateway)).json()["flags"]}
    banner = (await one(gateway, "banner")).json()
    assert (banner["variant"], banner["reason"]) == ("v2", "TARGETING_MATCH")
    assert (metadata["banner"]["decidedBy"], metadata["banner"]["why"]) == ("OVERRIDE", "PREVIEW")
    assert not any("exposureId" in each for each in metadata.values())
    gateway.http.headers["Preview-Token"] = "forged"
    refused = await one(gateway, "banner")
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_PREVIEW")
