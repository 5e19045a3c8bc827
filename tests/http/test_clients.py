"""The endpoint as other people's software sees it."""

from pathlib import Path

from resolvers.sources.embedded_build import prepare_store
from tests.gateway.server import gateway_process
from tests.http.node import generate_types, run_apollo, run_audits


def test_every_audit_of_graphql_http_passes_without_a_warning(address: str) -> None:
    assert run_audits(f"{address}/graphql") == {"audits": 61, "ok": 61, "failed": []}


def test_apollo_client_reads_plain_and_deferred_answers(address: str) -> None:
    deferred = "{ product(id: 1) { id name ... @defer { review slow(milliseconds: 100) } } }"
    report = run_apollo(f"{address}/graphql", "{ hello }", deferred)
    assert report["plain"] == {
        "media": "application/graphql-response+json",
        "states": [{"state": "complete", "data": {"hello": "hello world"}}],
    }
    assert report["deferred"]["media"] == "multipart/mixed"
    early = {"__typename": "Product", "id": "1", "name": "product 1"}
    late = {"review": "review of 1", "slow": "slow 1"}
    states = report["deferred"]["states"]
    assert states[0] == {"state": "streaming", "data": {"product": early}}
    assert states[-1] == {"state": "complete", "data": {"product": {**early, **late}}}


def test_the_gateway_itself_passes_every_audit_and_defers_to_apollo_client(tmp_path: Path) -> None:
    prepare_store(tmp_path)
    deferred = """{ catalog(first: 2) { edges { node { id } } }
        ... @defer { recommendations(placement: HOME, first: 2) { decision { mode } products { id name } } } }"""
    with gateway_process(tmp_path) as url:
        audits = run_audits(f"{url}/graphql")
        report = run_apollo(f"{url}/graphql", "{ categories { id } }", deferred)
    assert audits == {"audits": 61, "ok": 61, "failed": []}
    assert len(report["plain"]["states"][-1]["data"]["categories"]) > 10
    assert report["deferred"]["media"] == "multipart/mixed"
    last = report["deferred"]["states"][-1]
    assert last["state"] == "complete"
    assert last["data"]["recommendations"]["decision"]["mode"] == "DEFAULT"
    assert len(last["data"]["recommendations"]["products"]) == 2


def test_types_of_the_schema_are_generated_and_compile(tmp_path: Path) -> None:
    types = generate_types(Path(__file__).parents[2] / "schema.graphql", tmp_path / "schema.ts")
    assert "export type Recommendations = {" in types
    assert "export type QueryRecommendationsArgs = {" in types
