"""Flags asked the standard way, through OpenFeature's client, synchronously and asynchronously."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, Reason
from prometheus_client import CollectorRegistry

from flags.live import Flags
from flags.provider import openfeature_client
from tests.flags.conftest import OpenFlags
from tests.flags.writing import flag, write

VALUES: Mapping[FlagType, Any] = {
    FlagType.BOOLEAN: True,
    FlagType.STRING: "text",
    FlagType.INTEGER: 3,
    FlagType.FLOAT: 2.5,
    FlagType.OBJECT: {"rows": 2},
}
DEFAULTS: Mapping[FlagType, Any] = {
    FlagType.BOOLEAN: False,
    FlagType.STRING: "default",
    FlagType.INTEGER: -1,
    FlagType.FLOAT: -1.5,
    FlagType.OBJECT: {"rows": 0},
}


@pytest.fixture
async def flags(tmp_path: Path, open_flags: OpenFlags) -> Flags:
    rule = {"if": [{"==": [{"var": "persona"}, "BUILDER"]}, "v2", None]}
    write(
        tmp_path,
        {kind.lower(): flag(variants={"v1": value}) for kind, value in VALUES.items()}
        | {"ruled": flag(rule, metadata={"owner": "us"}), "off": flag(state="DISABLED")},
    )
    return await open_flags(tmp_path)


@pytest.fixture
def client(flags: Flags) -> Iterator[OpenFeatureClient]:
    with openfeature_client(flags) as client:
        yield client


async def _asked(
    client: OpenFeatureClient, kind: FlagType, key: str, default: Any
) -> tuple[FlagEvaluationDetails[Any], FlagEvaluationDetails[Any]]:
    """The same question, asked synchronously and asynchronously."""
    name = f"get_{kind.lower()}_details"
    return getattr(client, name)(key, default), await getattr(client, f"{name}_async")(key, default)


@pytest.mark.parametrize("kind", list(FlagType))
async def test_each_type_is_answered(client: OpenFeatureClient, kind: FlagType) -> None:
    direct, later = await _asked(client, kind, kind.lower(), DEFAULTS[kind])
    assert direct == later
    assert (direct.value, direct.variant, direct.reason) == (VALUES[kind], "v1", Reason.STATIC)


@pytest.mark.parametrize("asked", list(FlagType))
@pytest.mark.parametrize("held", list(FlagType))
async def test_another_type_gets_the_default_in_both_ways(
    client: OpenFeatureClient, asked: FlagType, held: FlagType
) -> None:
    if asked is held or (asked, held) == (FlagType.FLOAT, FlagType.INTEGER):
        expected: tuple[Any, Any] = VALUES[held], None
    else:
        expected = DEFAULTS[asked], ErrorCode.TYPE_MISMATCH
    for details in await _asked(client, asked, held.lower(), DEFAULTS[asked]):
        assert (details.value, details.error_code) == expected
        assert type(details.value) is type(DEFAULTS[asked])


async def test_details_say_who_decided_over_which_definitions(client: OpenFeatureClient, flags: Flags) -> None:
    context = EvaluationContext("customer:1", {"persona": "BUILDER"})
    for details in (
        client.get_string_details("ruled", "default", context),
        await client.get_string_details_async("ruled", "default", context),
    ):
        assert (details.value, details.variant, details.reason) == ("v2", "v2", Reason.TARGETING_MATCH)
        assert details.flag_metadata == {"owner": "us", "decidedBy": "RULE", "definitions": flags.snapshot.version}


async def test_a_flag_that_is_off_or_unknown_gives_the_default(client: OpenFeatureClient) -> None:
    for details in await _asked(client, FlagType.STRING, "off", "default"):
        assert (details.value, details.reason) == ("default", Reason.DISABLED)
        assert details.flag_metadata["decidedBy"] == "KILL_SWITCH"
    for details in await _asked(client, FlagType.STRING, "nobody", "default"):
        assert (details.value, details.error_code) == ("default", ErrorCode.FLAG_NOT_FOUND)


async def test_what_a_caller_does_to_an_object_stays_with_the_caller(client: OpenFeatureClient) -> None:
    mine = client.get_object_value("object", {})
    assert isinstance(mine, dict)
    mine["rows"] = 99
    assert client.get_object_value("object", {}) == {"rows": 2}


async def test_two_apps_in_one_process_keep_their_own_flags(
    client: OpenFeatureClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, {"string": flag(variants={"v1": "other"})})
    other = await Flags.open(elsewhere, CollectorRegistry())
    try:
        with openfeature_client(other) as theirs:
            assert theirs.get_string_value("string", "default") == "other"
            assert client.get_string_value("string", "default") == "text"
            assert api.get_client().get_string_value("string", "default") == "default"
        assert theirs.get_string_value("string", "default") == "default"
    finally:
        await other.aclose()


async def test_changes_are_announced(client: OpenFeatureClient, flags: Flags, tmp_path: Path) -> None:
    announced: asyncio.Queue[EventDetails] = asyncio.Queue()
    client.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, announced.put_nowait)
    write(tmp_path, {"string": flag(variants={"v1": "new"})})
    await flags.reload()
    details = await asyncio.wait_for(announced.get(), 10)
    assert details.metadata == {"definitions": flags.snapshot.version}
    assert client.get_string_value("string", "default") == "new"


async def test_questions_are_counted_by_who_decided(client: OpenFeatureClient, registry: CollectorRegistry) -> None:
    client.get_string_value("string", "default")
    client.get_string_value("off", "default")
    for decider, count in (("DEFAULT", 1), ("KILL_SWITCH", 1), ("RULE", 0)):
        assert registry.get_sample_value("gateway_flag_evaluations_total", {"decided_by": decider}) == count
