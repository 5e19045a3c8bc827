"""The shipped storefront: its components are those of a shop for five personas, and all of them hold."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from flags.contracts import ComponentReport, Rule, Schemas, check_components
from flags.fragments import FragmentSchema, SchemaText, fragment_of
from flags.live import DEMO_DIRECTORY
from flags.manifest import Status
from flags.registry import SHIPPED_DIRECTORY, read_registry
from flags.terms import terms_of
from resolvers.schema import build_schema as build_product_schema
from resolvers.schema import printed
from tests.flags.writing import read

ROOT = Path(__file__).parents[2]
COMMITTED = (ROOT / "schema.graphql").read_text()
REGISTRY = read_registry(SHIPPED_DIRECTORY)
FLAGS = {flag.component: flag for flag in read(DEMO_DIRECTORY).flags if flag.component}
PAGES = sorted({page for flag in FLAGS.values() for page in flag.pages})


def _report(working: str) -> ComponentReport:
    schemas = Schemas(
        FragmentSchema(SchemaText("schema.graphql", COMMITTED)),
        FragmentSchema(SchemaText("the working schema", working)),
    )
    return check_components(REGISTRY, read(DEMO_DIRECTORY), schemas, datetime.now(UTC).date())


def test_all_of_it_holds() -> None:
    report = _report(printed(build_product_schema()))
    assert [(each.rule, each.place) for each in report.findings] == [(Rule.SWITCHED_OFF, "reviews")]
    assert all(state.given_by for state in report.versions)


def test_every_piece_of_the_storefront_is_there() -> None:
    assert {version.manifest.name for version in REGISTRY.versions} >= {
        *("navigation", "hero", "product-tile", "shelf", "search", "basket-drawer", "category-filter"),
        *("quick-reorder", "bulk-pad", "customer-picker", "team-page", "recruiting-banner", "onboarding"),
    }
    assert len([name for name in FLAGS if len(REGISTRY.of(name)) > 1]) >= 10
    assert {name for name, flag in FLAGS.items() if terms_of(flag) is not None} == {"hero", "product-tile"}


def test_every_version_is_live_and_owned_by_the_team_of_its_flag() -> None:
    for version in REGISTRY.versions:
        assert version.manifest.status is Status.LIVE
        assert version.manifest.owner == FLAGS[version.manifest.name].owner


@pytest.mark.parametrize("page", PAGES)
def test_all_versions_on_a_page_fit_into_one_query(page: str) -> None:
    """Whichever versions a viewer gets, the page asks once: no two fragments may want one name for two things."""
    shown = [version for version in REGISTRY.versions if page in FLAGS[version.manifest.name].pages]
    on_query = [v for v in shown if fragment_of(v).type_condition.name.value == "Query"]
    variables = {name: type_ for version in on_query for name, type_ in version.manifest.variables.items()}
    declared = ", ".join(f"${name}: {type_}" for name, type_ in variables.items())
    spreads = "\n".join(f"...{version.manifest.fragment_name}" for version in on_query)
    query = f"query Page({declared}) {{ {spreads} }}" + "\n".join(version.fragment for version in on_query)
    assert validate(build_schema(COMMITTED), parse(query)) == []


def test_a_field_that_goes_is_missed_by_each_version_that_wants_it() -> None:
    before = '  """Package size; null where the shop does not say."""\n  size: String\n\n'
    assert before in COMMITTED
    wanting = {each.manifest.folder for each in REGISTRY.versions if "size" in each.fragment.split()}
    report = _report(COMMITTED.replace(before, ""))
    assert {each.place for each in report.findings if each.rule is Rule.BROKEN} == wanting
    assert len(wanting) == 7


def test_all_of_it_is_in_the_package() -> None:
    """The folder of a version is no package, so its files are named by patterns of the one above."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {path for pattern in data["storefront.components"] for path in SHIPPED_DIRECTORY.glob(pattern)}
    assert packed == {path for path in SHIPPED_DIRECTORY.rglob("*") if path.is_file()}
    assert len(packed) >= 2 * len(REGISTRY.versions)
