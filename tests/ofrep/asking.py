"""Flags to ask for, and how tests ask for them."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.flags.writing import BUCKETING, PINNED, flag
from tests.gateway.client import GatewayClient

SINGLE = "/ofrep/v1/evaluate/flags/"
BULK = "/ofrep/v1/evaluate/flags"

FLAGS: Mapping[str, Any] = {
    "banner": flag(),
    "by-season": flag({"if": [{"==": [{"var": "season"}, "WINTER"]}, "v2", None]}),
    "by-persona": flag({"if": [{"==": [{"var": "persona"}, "BUILDER"]}, "v2", None]}),
    "by-region": flag({"if": [{"==": [{"var": "region"}, "US-NE"]}, "v2", None]}),
    "by-segment": flag({"if": [{"==": [{"var": "segment"}, "collectors"]}, "v2", None]}),
    "by-role": flag({"if": [{"==": [{"var": "role"}, "editor"]}, "v2", None]}),
    "by-version": flag({"if": [{"sem_ver": [{"var": "appVersion"}, ">=", "2.0.0"]}, "v2", None]}),
    "by-key": flag({"if": [{"==": [{"var": "targetingKey"}, "customer:7"]}, "v2", None]}),
    "split": flag({"fractional": [BUCKETING, ["v1", 50], ["v2", 50]]}, metadata={**PINNED}),
    "breaks": flag({"if": [{">": [{"/": [10, {"var": "appVersion"}]}, 1]}, "v2", None]}),
    "off": flag(state="DISABLED"),
    "code-default": flag(defaultVariant=None),
    "switch": flag(variants={"on": True, "off": False}, defaultVariant="on"),
    "count": flag(variants={"few": 3, "many": 30}, defaultVariant="few"),
    "rate": flag(variants={"low": 0.25, "high": 0.75}, defaultVariant="low"),
    "layout": flag(variants={"wide": {"columns": 4, "sticky": True}}, defaultVariant="wide"),
}


async def one(
    gateway: GatewayClient, key: str, context: Mapping[str, object] | None = None, token: str | None = None
) -> httpx.Response:
    """The answer for one flag."""
    return await gateway.http.post(f"{SINGLE}{key}", json=_body(context), headers=_headers(token))


async def every(
    gateway: GatewayClient,
    context: Mapping[str, object] | None = None,
    token: str | None = None,
    etag: str | None = None,
) -> httpx.Response:
    """The answer for all flags."""
    condition = {"If-None-Match": etag} if etag is not None else {}
    return await gateway.http.post(BULK, json=_body(context), headers={**_headers(token), **condition})


async def variant(
    gateway: GatewayClient, key: str, context: Mapping[str, object] | None = None, token: str | None = None
) -> str:
    """The variant of one flag."""
    answer = await one(gateway, key, context, token)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["variant"])


def _body(context: Mapping[str, object] | None) -> dict[str, object]:
    return {} if context is None else {"context": context}


def _headers(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
