"""Who is a customer of the embedded shop: asked by the demo, where one may become any of them."""

import json
import sqlite3
from pathlib import Path

from personalization.events import Persona
from resolvers.sources.source import Customer

_ALL = """SELECT id, synthetic_persona, synthetic_region, synthetic_sponsors, top_categories
          FROM customer ORDER BY length(id), id"""


def read_roll(store: Path) -> tuple[Customer, ...]:
    """Every customer in the store's file, in the order of their numbers. Blocks for some milliseconds."""
    with sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro&immutable=1", uri=True) as database:
        rows = database.execute(_ALL).fetchall()
    database.close()
    return tuple(
        Customer(id_, Persona(persona), region, tuple(json.loads(sponsors)), tuple(json.loads(categories)))
        for id_, persona, region, sponsors, categories in rows
    )
