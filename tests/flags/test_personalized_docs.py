"""docs/personalized-flags.md says what is so."""

import json
import re
from pathlib import Path

from flags.evaluation import Decider, FlagSet
from flags.terms import terms_of
from tests.flags.writing import read, write

PAGE = (Path(__file__).parents[2] / "docs" / "personalized-flags.md").read_text()


def test_the_example_is_a_personalized_flag(tmp_path: Path) -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example
    write(tmp_path, json.loads(example[1]))
    flags = FlagSet(read(tmp_path))
    assert flags.definitions.refused == ()
    definition = flags.flags["component.hero"].definition
    terms = terms_of(definition)
    assert terms is not None
    assert (terms.floor, terms.holdback) == (0.05, 0.05)
    assert terms.variants_for("VISITOR") == ("v1", "v2")
    assert terms.variants_for("CONSULTANT") == ("v1", "v2", "v3")


def test_the_layers_are_listed_in_their_order() -> None:
    table = PAGE.split("## Layers")[1].split("## Decisions")[0]
    assert re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE) == [each.value for each in Decider]
