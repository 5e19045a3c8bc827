"""OpenFeature's own clients: the web SDK in Node, and the provider for Python servers."""

from pathlib import Path

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from gateway.settings import Settings
from tests.flags.writing import flag, write
from tests.gateway.client import signed
from tests.http.node import run_ofrep
from tests.ofrep.asking import FLAGS
from tests.ofrep.conftest import Served


@pytest.mark.parametrize("signed_in", [False, True])
def test_the_web_sdk_is_told_of_changes_and_evaluates_anew(served: Served, tmp_path: Path, signed_in: bool) -> None:
    token = signed(Settings(data_dir=served.data_dir), "7") if signed_in else ""
    fresh = write(tmp_path, {**FLAGS, "banner": flag(defaultVariant="v2")}, "fresh.json")
    report = run_ofrep(served.url, token, fresh, served.flags_dir / "team.json")

    first = report["first"]
    assert (first["banner"]["value"], first["banner"]["reason"]) == ("v1", "STATIC")
    assert first["banner"]["flagMetadata"]["decidedBy"] == "DEFAULT"
    assert (first["version"], first["count"], first["layout"]) == ("v1", 3, {"columns": 4, "sticky": True})
    assert (first["off"]["value"], first["off"]["reason"]) == ("mine", "DISABLED")
    assert "errorCode" not in first["off"]
    assert (first["missing"]["value"], first["missing"]["errorCode"]) == ("mine", "FLAG_NOT_FOUND")
    assert (first["mistyped"]["value"], first["mistyped"]["errorCode"]) == (True, "TYPE_MISMATCH")

    assert report["afterChange"]["banner"]["value"] == "v2"
    (change,) = [each for each in report["events"] if each["kind"] == "PROVIDER_CONFIGURATION_CHANGED"]
    assert "banner" in change["changed"]
    assert report["afterContext"]["version"] == "v2"
    assert report["afterForbidden"]["version"] == "v2"
    assert [each["kind"] for each in report["events"] if each != change] == ["PROVIDER_ERROR"]
    assert report["statuses"] == [200, 200, 200, 403]


def test_the_python_provider_gets_values_reasons_and_errors(served: Served) -> None:
    token = signed(Settings(data_dir=served.data_dir), "7")
    provider = OFREPProvider(served.url, headers_factory=lambda: {"Authorization": f"Bearer {token}"})
    api.set_provider_and_wait(provider, "ofrep-test")
    client = api.get_client("ofrep-test")
    try:
        winter = EvaluationContext("customer:7", {"season": "WINTER"})
        found = client.get_string_details("by-season", "mine", winter)
        assert (found.value, found.variant, found.reason) == ("v2", "v2", Reason.TARGETING_MATCH)
        assert found.flag_metadata["decidedBy"] == "RULE"
        assert client.get_boolean_value("switch", False) is True
        assert client.get_integer_value("count", -1) == 3
        assert client.get_float_value("rate", 0.0) == 0.25
        assert client.get_object_value("layout", {}) == {"columns": 4, "sticky": True}

        off = client.get_string_details("off", "mine")
        assert (off.value, off.reason, off.error_code) == ("mine", Reason.DISABLED, None)
        assert client.get_string_value("code-default", "mine") == "mine"
        missing = client.get_string_details("nobody", "mine")
        assert (missing.value, missing.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)
        broken = client.get_string_details("breaks", "mine", EvaluationContext(None, {"appVersion": 0}))
        assert (broken.value, broken.error_code) == ("mine", ErrorCode.GENERAL)
        nonsense = client.get_string_details("banner", "mine", EvaluationContext(None, {"device": "TOASTER"}))
        assert (nonsense.value, nonsense.error_code) == ("mine", ErrorCode.INVALID_CONTEXT)
        other = client.get_string_details("banner", "mine", EvaluationContext("customer:8"))
        assert (other.value, other.error_code, other.error_message) == ("mine", ErrorCode.GENERAL, "forbidden")
    finally:
        provider.session.close()
        api.clear_providers()
