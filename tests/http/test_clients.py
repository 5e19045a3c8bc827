"""The endpoint alone as other people's software sees it; `tests/gateway/test_clients.py` has the whole gateway."""

from tests.http.node import run_apollo, run_audits


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
