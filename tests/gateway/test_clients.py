"""The running gateway, `gateway serve` and all, as other people's software sees it."""

from pathlib import Path

from tests.gateway.server import ROOT
from tests.http.node import generate_types, run_apollo, run_audits

PLAIN = '{ product(id: "1128271") { id price { amount } } }'
DEFERRED = """{
  product(id: "1128271") { id }
  ... @defer { recommendations(placement: HOME, first: 2) { decision { action } products { id } } }
}"""


def test_every_audit_of_graphql_http_passes_without_a_warning(url: str) -> None:
    assert run_audits(f"{url}/graphql") == {"audits": 61, "ok": 61, "failed": []}


def test_apollo_client_gets_the_slow_shelf_when_it_is_ready(url: str) -> None:
    report = run_apollo(f"{url}/graphql", PLAIN, DEFERRED)
    product = {"__typename": "Product", "id": "1128271"}
    assert report["plain"]["states"][-1]["data"]["product"]["price"]["amount"]
    assert report["deferred"]["media"] == "multipart/mixed"
    states = report["deferred"]["states"]
    assert states[0]["state"] == "streaming"
    assert states[0]["data"]["product"] == product
    assert "recommendations" not in states[0]["data"]
    assert states[-1]["state"] == "complete"
    shelf = states[-1]["data"]["recommendations"]
    assert shelf["decision"]["action"] == "bestsellers"
    assert len(shelf["products"]) == 2


def test_types_are_generated_from_the_committed_schema(tmp_path: Path) -> None:
    types = generate_types(ROOT / "schema.graphql", tmp_path / "schema.ts")
    assert "export type Recommendations = {" in types
    assert "export type QueryRecommendationsArgs = {" in types
