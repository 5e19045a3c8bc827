"""The endpoint as other people's software sees it."""

from pathlib import Path

from tests.http.node import generate_types, run_apollo, run_audits
from tests.http.shop import SCHEMA


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


def test_types_are_generated_and_compile(tmp_path: Path) -> None:
    schema = tmp_path / "schema.graphql"
    schema.write_text(SCHEMA.as_str())
    types = generate_types(schema, tmp_path / "schema.ts")
    assert "export type Product = {" in types
    assert "export type QueryProductArgs = {" in types
