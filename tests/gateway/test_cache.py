"""The cache over HTTP: ages, tags, purges, explanations, and known requests."""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from gateway.settings import Settings
from tests.gateway.client import GatewayClient, signed
from tests.gateway.conftest import Open
from tests.gateway.server import gateway_process
from tests.http.parts import merged, multipart

CATALOG = "{ catalog(first: 2) { nodes { id name } } }"


async def explained(gateway: GatewayClient, query: str, token: str) -> list[dict[str, object]]:
    answer = await gateway.http.post(
        "/graphql", json={"query": query}, headers={"Authorization": f"Bearer {token}", "GraphQL-Cache": "explain"}
    )
    found: list[dict[str, object]] = answer.json().get("extensions", {}).get("cache", [])
    return found


async def test_an_explanation_says_what_became_of_each_value(gateway: GatewayClient) -> None:
    token = gateway.token("1", scope="preview")
    first = await explained(gateway, CATALOG, token)
    assert [each["state"] for each in first if each["field"] == "Query.catalog"] == ["miss"]
    again = await explained(gateway, CATALOG, token)
    assert [(each["field"], each["state"], each["scope"]) for each in again] == [("Query.catalog", "hit", "PUBLIC")]
    assert again[0]["age"] is not None
    assert again[0]["key"] == next(each["key"] for each in first if each["field"] == "Query.catalog")


async def test_nobody_else_is_told(gateway: GatewayClient) -> None:
    assert await explained(gateway, CATALOG, gateway.token("1")) == []


async def test_a_get_is_validated(gateway: GatewayClient) -> None:
    first = await gateway.http.get("/graphql", params={"query": CATALOG})
    assert first.headers["cache-control"] == "public, max-age=300, stale-while-revalidate=60"
    again = await gateway.http.get(
        "/graphql", params={"query": CATALOG}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = await gateway.http.get("/graphql", params={"query": CATALOG}, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


async def test_what_must_not_be_kept_has_no_tag(gateway: GatewayClient) -> None:
    query = "{ recommendations(placement: HOME, context: {}) { decision { id } } }"
    answer = await gateway.http.get("/graphql", params={"query": query})
    assert answer.headers["cache-control"] == "private, no-store"
    assert "etag" not in answer.headers


async def test_an_answer_tells_its_age(gateway: GatewayClient) -> None:
    await gateway.ask(CATALOG)
    await asyncio.sleep(1.1)
    answer = await gateway.http.post("/graphql", json={"query": CATALOG})
    assert 1 <= int(answer.headers["age"]) <= 30


@pytest.mark.parametrize(
    ("scope", "body", "status"),
    [
        ("ops", {"tags": ["Query.catalog"]}, 200),
        ("ops", {"everything": True}, 200),
        ("ops", {"tags": []}, 400),
        ("ops", {"tags": [1]}, 400),
        ("ops", {"tags": ["x" * 201]}, 400),
        ("ops", [], 400),
        ("preview", {"tags": ["Query.catalog"]}, 401),
        (None, {"tags": ["Query.catalog"]}, 401),
    ],
)
async def test_only_operators_purge(gateway: GatewayClient, scope: str | None, body: object, status: int) -> None:
    await gateway.ask(CATALOG)
    headers = {"Authorization": f"Bearer {gateway.token('1', scope=scope)}"} if scope else {}
    answer = await gateway.http.post("/cache/purge", json=body, headers=headers)
    assert answer.status_code == status
    assert (answer.json().get("purged", 0) > 0) == (status == 200)


async def test_the_page_stands_on_what_is_kept(open_gateway: Open) -> None:
    async with open_gateway() as gateway:
        pages = [await gateway.home({"region": "US-NE"}) for _ in range(12)]
    assert all(len(page["data"]["recommendations"]["products"]) == 12 for page in pages)
    ids = {page["data"]["recommendations"]["decision"]["id"] for page in pages}
    assert len(ids) == 12
    assert gateway.counted("gateway_cache_lookups_total", field="Query.catalog", result="hit") >= 11


def test_a_purge_asked_of_one_worker_is_seen_by_both(data_dir: Path) -> None:
    with gateway_process(data_dir, workers="2") as url, ExitStack() as stack:
        token = signed(Settings(data_dir=data_dir), "1", scope="ops preview")
        headers = {"Authorization": f"Bearer {token}", "GraphQL-Cache": "explain"}

        def state(client: httpx.Client) -> str:
            notes = client.post("/graphql", json={"query": CATALOG}).json()["extensions"]["cache"]
            (found,) = (note["state"] for note in notes if note["field"] == "Query.catalog")
            return str(found)

        workers: list[httpx.Client] = []
        for _ in range(100):  # a connection stays with its worker, and the first to ask there finds nothing
            client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=10))
            if state(client) == "miss":
                workers.append(client)
            if len(workers) == 2:
                break
        one, other = workers
        assert [state(one), state(other)] == ["hit", "hit"]
        assert one.post("/cache/purge", json={"tags": ["Query.catalog"]}).json() == {"purged": 1}
        assert state(one) == "miss"
        for _ in range(200):
            if state(other) == "miss":
                break
            time.sleep(0.02)
        else:
            pytest.fail("the other worker never heard of it")
        time.sleep(0.2)
        assert [state(one), state(other)] == ["hit", "hit"]


@pytest.mark.parametrize("where", ["above", "below"])
async def test_what_is_deferred_adds_up_to_what_is_not(gateway: GatewayClient, where: str) -> None:
    """What is deferred is made each time and never kept; what stands beside it is."""
    late, at_once = "... @defer { %s }", "%s"
    fields = "catalog(first: 3) { nodes { id name price { amount } } }"
    inner = "nodes { id name price { amount } }"

    def query(how: str) -> str:
        if where == "above":
            return f"{{ categories {{ id }} {how % fields} }}"
        return f"{{ catalog(first: 3) {{ {how % inner} }} }}"

    async def in_parts() -> object:
        headers = {"Accept": "multipart/mixed"}
        answer = await gateway.http.post("/graphql", json={"query": query(late)}, headers=headers)
        assert answer.headers["cache-control"] == "no-store"
        return merged(multipart(answer.content))["data"]

    first = await in_parts()
    whole = (await gateway.ask(query(at_once)))["data"]
    again = [await in_parts() for _ in range(3)]
    assert [first, *again] == [whole] * 4
    assert (await gateway.ask(query(at_once)))["data"] == whole
    assert gateway.counted("gateway_cache_lookups_total", field="Query.catalog", result="hit") == 1
    kept_beside = gateway.counted("gateway_cache_lookups_total", field="Query.categories", result="hit")
    assert kept_beside == (5 if where == "above" else 0)
