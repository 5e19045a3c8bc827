"""The README's way to ask for a page: which versions, then the data of just those."""

import re
from typing import Any

import pytest

from flags.registry import SHIPPED_DIRECTORY, ComponentVersion, read_registry
from tests.gateway.client import GatewayClient
from tests.gateway.server import ROOT

REGISTRY = read_registry(SHIPPED_DIRECTORY)
README = (ROOT / "README.md").read_text()


def versions_query() -> str:
    found = re.search(r"```graphql\n(\s*query Versions.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def in_play(pieces: list[dict[str, Any]]) -> list[ComponentVersion]:
    """The versions that a page got and that fetch by themselves, as a storefront loads them."""
    folders = {f"{piece['name']}.{piece['version'] or 'v1'}" for piece in pieces if piece["enabled"]}
    found = [each for each in REGISTRY.versions if each.manifest.folder in folders]
    assert len(found) == len(folders)
    return [each for each in found if " on Query " in each.fragment]


def page_query(versions: list[ComponentVersion]) -> str:
    variables = {name: type_ for each in versions for name, type_ in each.manifest.variables.items()}
    declared = ", ".join(f"${name}: {type_}" for name, type_ in variables.items())
    spreads = " ".join(f"...{each.manifest.fragment_name}" for each in versions)
    return "\n".join([f"query HomePage({declared}) {{ {spreads} }}", *(each.fragment for each in versions)])


@pytest.mark.parametrize("role", [None, "BUILDER", "CONSULTANT", "SHOP_OWNER", "DIRECT_CUSTOMER"])
async def test_a_page_asks_for_the_data_of_the_versions_in_play(gateway: GatewayClient, role: str | None) -> None:
    token = gateway.token("1", role=role) if role else None
    told = await gateway.ask(versions_query(), {"page": "home", "context": {}}, token)
    assert "errors" not in told
    pieces = told["data"]["components"]
    versions = in_play(pieces)
    answer = await gateway.ask(page_query(versions), {"context": {}, "productIds": []}, token)
    assert "errors" not in answer
    wanted = {key for each in versions for key in re.findall(r"^  (\w+)\b", each.fragment, re.MULTILINE)}
    assert set(answer["data"]) == wanted, "nothing else is fetched"
    assert len(wanted) >= 2


async def test_personas_get_pages_that_differ_in_kind(gateway: GatewayClient) -> None:
    pages = {}
    for role in ("BUILDER", "CONSULTANT", "SHOP_OWNER", "DIRECT_CUSTOMER"):
        told = await gateway.ask(versions_query(), {"page": "home", "context": {}}, gateway.token("1", role=role))
        pages[role] = frozenset(piece["name"] for piece in told["data"]["components"] if piece["enabled"])
    assert len(set(pages.values())) >= 3
