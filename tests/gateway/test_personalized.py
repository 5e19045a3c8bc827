"""Components whose version is a decision, from the page to the hub."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from flags.preview import Preview, PreviewTokens
from gateway.__main__ import app
from gateway.keys import derived, keys_of
from personalization.hub.topics import DECISIONS, EXPOSURES
from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open

COMPONENTS = """
query ($context: Context, $names: [String!]) {
  components(names: $names, context: $context) { ...piece }
  again: components(page: "home", context: $context) { ...piece }
}
fragment piece on Component {
  name version enabled reason decidedBy mode values
  decision { id action probability policy mode reason }
  exposure { id flagKey variant decidedBy }
}
"""
PERSONALIZED = {"personalized": True, "floor": 0.05, "page": "home"}


def _flag(component: str, **changes: Any) -> dict[str, Any]:
    metadata = {**PERSONALIZED, "component": component, **changes.pop("metadata", {})}
    variants = {"v1": "v1", "v2": "v2", "v3": "v3"}
    return {"state": "ENABLED", "variants": variants, "defaultVariant": "v1", "metadata": metadata, **changes}


@pytest.fixture
def flags_dir(tmp_path: Path) -> Path:
    """Three personalized components, one of them with values, and one that rules decide."""
    folder = tmp_path / "flags"
    folder.mkdir()
    wide = {"wide": {"version": "v2", "columns": 4}, "narrow": {"version": "v2", "columns": 2}}
    rule = {"if": [{"==": [{"var": "persona"}, "VISITOR"]}, "v2", "v1"]}
    flags = {
        "component.hero": _flag("hero"),
        "component.shelf": _flag("shelf"),
        "component.grid": _flag("grid", variants=wide, defaultVariant="narrow"),
        "component.search": _flag("search", targeting=rule, metadata={"personalized": False}),
    }
    (folder / "storefront.json").write_text(json.dumps({"flags": flags}))
    return folder


@pytest.fixture
async def shop(open_gateway: Open, flags_dir: Path) -> AsyncIterator[GatewayClient]:
    async with open_gateway(flags_dir=flags_dir) as client:
        yield client


async def pieces(
    client: GatewayClient, context: dict[str, object] | None, names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    answer = await client.ask(COMPONENTS, {"context": context, "names": names})
    assert "errors" not in answer
    both: list[dict[str, Any]] = answer["data"]["components"]
    if names is None:
        assert answer["data"]["again"] == both, "two fields of a page never disagree"
    return both


async def decisions_of(client: GatewayClient) -> list[dict[str, Any]]:
    """The decisions about components, once they are in the hub."""
    return [each for each in await client.events(DECISIONS) if each["context"]["placement"].startswith("component:")]


async def test_a_page_is_decided_once_and_the_session_keeps_it(open_gateway: Open, flags_dir: Path) -> None:
    async with open_gateway(flags_dir=flags_dir) as client:
        first = await pieces(client, {})
        assert [(each["name"], each["decidedBy"], each["reason"]) for each in first] == [
            ("hero", "BANDIT", "DECISION"),
            ("shelf", "BANDIT", "DECISION"),
            ("grid", "BANDIT", "DECISION"),
            ("search", "RULE", "TARGETING"),
        ]
        hero = first[0]
        assert hero["decision"]["action"] == hero["version"] == hero["exposure"]["variant"]
        assert hero["decision"]["probability"] == pytest.approx(1 / 3)
        assert (hero["decision"]["policy"], hero["decision"]["mode"]) == ("uniform@1", "LOG_ONLY")
        assert all(each["exposure"]["id"] for each in first)
        assert await pieces(client, {}) == first
        assert await pieces(client, {}, ["hero"]) == [hero]
        cookies = client.http.cookies
    async with open_gateway(flags_dir=flags_dir) as anew:
        anew.http.cookies = cookies
        assert await pieces(anew, {"season": "WINTER"}) == first, "kept over a restart"
    async with open_gateway(flags_dir=flags_dir) as other:
        recorded = await decisions_of(other)
    assert sorted(each["context"]["placement"] for each in recorded) == [
        "component:grid",
        "component:hero",
        "component:shelf",
    ]
    assert {each["id"] for each in recorded} == {each["decision"]["id"] for each in first if each["decision"]}


async def test_values_of_a_variant_reach_the_page(shop: GatewayClient) -> None:
    (grid,) = await pieces(shop, None, ["grid"])
    assert (grid["version"], grid["values"], grid["decidedBy"]) == ("v2", {"columns": 2}, "DEFAULT")
    (decided,) = await pieces(shop, {}, ["grid"])
    assert decided["values"] == {"columns": 4 if decided["exposure"]["variant"] == "wide" else 2}


async def test_without_a_context_nothing_is_decided_or_exposed(open_gateway: Open, flags_dir: Path) -> None:
    async with open_gateway(flags_dir=flags_dir) as client:
        found = await pieces(client, None)
    assert [(each["version"], each["decision"], each["exposure"]["id"]) for each in found] == [
        ("v1", None, None),
        ("v1", None, None),
        ("v2", None, None),
        ("v1", None, None),
    ]
    async with open_gateway(flags_dir=flags_dir) as anew:
        assert await decisions_of(anew) == []
        assert await anew.events(EXPOSURES) == []


async def test_the_client_is_given_what_it_can_render(shop: GatewayClient) -> None:
    supports = [{"name": "hero", "version": version} for version in ("v1", "v2")]
    found = {(await pieces(shop, {"supports": supports}, ["hero"]))[0]["version"]}
    for _ in range(20):
        shop.http.cookies.clear()
        found |= {(await pieces(shop, {"supports": supports}, ["hero"]))[0]["version"]}
    assert found == {"v1", "v2"}


async def test_exposures_are_in_the_hub_under_the_ids_that_pages_have(open_gateway: Open, flags_dir: Path) -> None:
    async with open_gateway(flags_dir=flags_dir) as client:
        shown = await pieces(client, {})
        await pieces(client, {})
    async with open_gateway(flags_dir=flags_dir) as anew:
        stored = await anew.events(EXPOSURES)
    assert {each["id"] for each in stored} == {each["exposure"]["id"] for each in shown}
    assert len(stored) == 4, "one each, however often it is given"
    assert {each["flag"]: each["decider"] for each in stored}["component.search"] == "RULE"


def preview(client: GatewayClient, hours: float = 1.0, subject: str | None = None, **variants: str) -> str:
    tokens = PreviewTokens(derived(keys_of(client.settings).cookie, "preview"))
    chosen = {f"component.{name}": variant for name, variant in variants.items()}
    return tokens.mint(Preview("anna", chosen, datetime.now(UTC) + timedelta(hours=hours), subject))


async def test_a_preview_forces_variants_is_marked_and_is_never_learned_from(
    open_gateway: Open, flags_dir: Path
) -> None:
    async with open_gateway(flags_dir=flags_dir) as client:
        client.http.headers["Preview-Token"] = preview(client, hero="v3", search="v1")
        answer = await client.ask(COMPONENTS, {"context": {}})
        shelf = await client.home({})
        public = await client.ask(COMPONENTS, {"context": None})
    found = {each["name"]: each for each in answer["data"]["components"]}
    assert {name: (each["version"], each["decidedBy"], each["reason"]) for name, each in found.items()} == {
        "hero": ("v3", "OVERRIDE", "PREVIEW"),
        "shelf": ("v1", "DEFAULT", "DEFAULT"),
        "grid": ("v2", "DEFAULT", "DEFAULT"),
        "search": ("v1", "OVERRIDE", "PREVIEW"),
    }
    assert public["data"]["components"][0]["version"] == "v3"
    assert answer["extensions"]["preview"]["by"] == "anna"
    assert answer["extensions"]["preview"]["variants"] == {"component.hero": "v3", "component.search": "v1"}
    assert shelf["data"]["recommendations"]["decision"]["id"] is None
    assert shelf["data"]["recommendations"]["decision"]["reason"] == "PREVIEW"
    assert shelf["data"]["recommendations"]["products"]
    assert not any(each["decision"] or each["exposure"]["id"] for each in found.values())
    async with open_gateway(flags_dir=flags_dir) as anew:
        assert (await anew.events(DECISIONS), await anew.events(EXPOSURES)) == ([], [])


async def test_a_preview_lives_in_one_browser_until_it_is_ended(shop: GatewayClient) -> None:
    token = preview(shop, hero="v3")
    begun = await shop.http.get("/preview", params={"token": token, "to": "/graphiql/"})
    assert (begun.status_code, begun.headers["location"]) == (303, "/graphiql/")
    assert "HttpOnly" in begun.headers["set-cookie"]
    assert "SameSite=Lax" in begun.headers["set-cookie"]
    assert (await pieces(shop, {}, ["hero"]))[0]["decidedBy"] == "OVERRIDE"
    ended = await shop.http.get("/preview")
    assert (ended.status_code, ended.headers["location"]) == (303, "/")
    assert (await pieces(shop, {}, ["hero"]))[0]["decidedBy"] == "BANDIT"


@pytest.mark.parametrize("page", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "x"])
async def test_a_preview_leads_to_no_other_site(shop: GatewayClient, page: str) -> None:
    begun = await shop.http.get("/preview", params={"token": preview(shop, hero="v3"), "to": page})
    assert begun.headers["location"] == "/"


async def test_a_preview_that_is_not_good_is_refused_by_header_and_dropped_by_cookie(shop: GatewayClient) -> None:
    good = preview(shop, hero="v3")
    bad = ["nonsense", good[:-4], preview(shop, -1.0, hero="v3"), preview(shop, 1.0, "customer:7", hero="v3")]
    bad.append(shop.token("7"))
    for token in bad:
        answer = await shop.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Preview-Token": token})
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "INVALID_PREVIEW")
        shop.http.cookies.set("preview", token)
        assert (await pieces(shop, {}, ["hero"]))[0]["decidedBy"] == "BANDIT"
        shop.http.cookies.delete("preview")
    begun = await shop.http.get("/preview", params={"token": "nonsense"})
    assert (begun.status_code, begun.json()["code"]) == (400, "INVALID_PREVIEW")
    assert "set-cookie" not in begun.headers


async def test_a_preview_may_be_one_viewers_own(shop: GatewayClient) -> None:
    shop.http.headers["Preview-Token"] = preview(shop, 1.0, "customer:7", hero="v3")
    answer = await shop.ask(COMPONENTS, {"context": {}, "names": ["hero"]}, shop.token("7"))
    assert answer["data"]["components"][0]["version"] == "v3"


async def test_the_command_makes_a_token_that_the_gateway_takes(
    shop: GatewayClient, flags_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(shop.settings.data_dir))
    monkeypatch.setenv("GATEWAY_FLAGS_DIR", str(flags_dir))
    made = CliRunner().invoke(app, ["preview", "--by", "anna", "--variant", "component.hero=v3"])
    assert made.exit_code == 0
    token = made.stdout.strip()
    assert parse_qs(urlsplit(made.stderr.strip()).query) == {"token": [token]}
    shop.http.headers["Preview-Token"] = token
    assert (await pieces(shop, {}, ["hero"]))[0]["version"] == "v3"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--by", "anna", "--variant", "component.hero=v9"], "it has v1, v2, v3"),
        (["--by", "anna", "--variant", "nobody=v1"], "no definition names that flag"),
        (["--by", "anna", "--variant", "component.hero"], "write it as"),
        (["--by", "an na", "--variant", "component.hero=v1"], "without spaces"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, flags_dir: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GATEWAY_FLAGS_DIR", str(flags_dir))
    monkeypatch.setenv("COLUMNS", "200")
    refused = CliRunner().invoke(app, ["preview", *arguments])
    assert refused.exit_code == 2
    assert told in refused.stderr
