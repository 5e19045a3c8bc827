"""Whatever fits the schema is answered: schemathesis writes the operations, the running gateway answers them."""

from typing import Any

import schemathesis
from graphql import GraphQLSchema, build_schema, introspection_from_schema
from hypothesis import HealthCheck, settings

from tests.gateway.server import ROOT


def introspected() -> dict[str, object]:
    """The committed schema as introspection tells it, without `@defer` and `@stream`: graphql-core will not execute
    a schema that has them in the one way schemathesis knows."""
    schema = build_schema((ROOT / "schema.graphql").read_text())
    plain: Any = [each for each in schema.directives if each.name not in ("defer", "stream")]
    kwargs: dict[str, Any] = {**schema.to_kwargs(), "directives": plain}
    return dict(introspection_from_schema(GraphQLSchema(**kwargs)))


SCHEMA = schemathesis.graphql.from_dict(introspected())


@SCHEMA.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_no_operation_breaks_the_gateway(case: schemathesis.Case[Any], url: str) -> None:
    response = case.call(base_url=f"{url}/graphql")
    assert response.status_code < 500, response.text
    codes = {error["extensions"]["code"] for error in response.json().get("errors", ())}
    assert "INTERNAL_SERVER_ERROR" not in codes, response.text
