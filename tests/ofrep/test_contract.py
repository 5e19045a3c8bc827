"""The description in docs/ofrep.openapi.yaml is true: schemathesis writes the requests, the running gateway answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.settings import Settings
from tests.flags.writing import write
from tests.gateway.client import signed
from tests.gateway.server import ROOT, gateway_process
from tests.ofrep.asking import FLAGS

# Streams are endless, so they are left to test_stream.py.
DESCRIPTION = schemathesis.openapi.from_path(ROOT / "docs" / "ofrep.openapi.yaml")
EVALUATIONS = DESCRIPTION.include(method="POST")


@dataclass(frozen=True, slots=True)
class Here:
    """A gateway as its own process, and the settings that sign tokens for it."""

    url: str
    settings: Settings


@pytest.fixture(scope="module")
def served_here(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    """The gateway for the tests of this file."""
    data_dir, flags_dir = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("flags")
    (data_dir / catalogue.name).hardlink_to(catalogue)
    write(flags_dir, FLAGS)
    with gateway_process(data_dir, flags_dir=str(flags_dir)) as url:
        yield Here(url, Settings(data_dir=data_dir))


@EVALUATIONS.parametrize()
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@pytest.mark.parametrize("rights", ["", "preview"])
def test_requests_are_answered_as_described(case: schemathesis.Case[Any], served_here: Here, rights: str) -> None:
    token = signed(served_here.settings, "7", scope=rights)
    response = case.call_and_validate(base_url=served_here.url, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code < 500, response.text


@pytest.mark.parametrize("key", [*FLAGS, "nobody"])
def test_flags_of_every_kind_are_told_as_described(served_here: Here, key: str) -> None:
    operation = DESCRIPTION["/ofrep/v1/evaluate/flags/{key}"]["POST"]
    body: Any = {"context": {"season": "WINTER", "appVersion": 0}}
    case = operation.Case(path_parameters={"key": key}, body=body, media_type="application/json")
    excluded: Any = (
        [] if key != "breaks" else [positive_data_acceptance]
    )  # its rule fails, which the protocol calls 400
    case.call_and_validate(base_url=served_here.url, excluded_checks=excluded)
