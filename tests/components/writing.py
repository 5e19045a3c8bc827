"""Component versions as tests write them to disk."""

import json
from datetime import date
from pathlib import Path
from typing import Any

from flags.contracts import ComponentReport, Schemas, check_components
from flags.fragments import FragmentSchema, SchemaText
from flags.registry import ComponentVersion, read_registry
from tests.flags.writing import read

TODAY = "2026-10-15"
SCHEMA = """
type Query {
  product(id: ID!): Product
  shelf(place: Place!, context: Context): [Product!]!
  basket: Basket
}
type Mutation { add: Basket }
type Basket { id: ID! lines: [Line!]! }
type Line { product: Product }
union Item = Product | Basket
type Product { id: ID! name: String! size: String }
input Context { region: String }
enum Place { HOME BASKET }
"""


def manifest(name: str, **changes: Any) -> dict[str, Any]:
    """A good manifest of a live version."""
    content: dict[str, Any] = {
        "flag": name,
        "owner": "team",
        "status": "live",
        "since": "2026-10-01",
        "description": "What it shows.",
    }
    return {**content, **changes}


def write_version(directory: Path, folder: str, fragment: str | None = None, **changes: Any) -> Path:
    """The folder of one version; `{}` in the fragment stands for its name. Without one, it wants a product's name."""
    name, _, version = folder.partition(".")
    path = directory / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / "manifest.json").write_text(json.dumps(manifest(name, **changes)))
    named = f"{name.replace('-', '_')}_{version}"
    (path / "fragment.graphql").write_text(
        (fragment or "fragment {} on Product {\n  name\n}\n").replace("{}", named, 1)
    )
    return path


def version_of(tmp_path: Path, fragment: str, **changes: Any) -> ComponentVersion:
    """The version hero.v1 with this fragment, as the registry reads it."""
    write_version(tmp_path, "hero.v1", fragment, **changes)
    (version,) = read_registry(tmp_path).versions
    return version


def schema(text: str = SCHEMA, name: str = "schema.graphql") -> FragmentSchema:
    """A schema that fragments are held against."""
    return FragmentSchema(SchemaText(name, text))


def report_of(components: Path, flags: Path, working: str = SCHEMA, today: str = TODAY) -> ComponentReport:
    """What is found in these folders."""
    schemas = Schemas(schema(), schema(working, "the working schema"))
    return check_components(read_registry(components), read(flags), schemas, date.fromisoformat(today))


def found(report: ComponentReport) -> list[tuple[str, str, str]]:
    """Level, rule and place of all that was found."""
    return [(each.level.value, each.rule.value, each.place) for each in report.findings]
