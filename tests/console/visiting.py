"""Visits of a running gateway over HTTP, and a record of what was decided and done in them."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.settings import Settings
from personalization.events import Persona
from tests.gateway.client import signed

QUERY = """
query ($context: Context) {
  recommendations(placement: HOME, first: 2, context: $context) { decision { id policy } products { id } }
  components(names: ["hero", "navigation"], context: $context) { name version exposure { id } }
}
"""


@dataclass(slots=True)
class Visits:
    """What came of them, by persona: the decisions of shelves by id, with the reward that the page's events earn."""

    url: str
    data_dir: Path
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    rewards: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def come(self, count: int, personas: Sequence[Persona] = tuple(Persona)) -> None:
        """So many visits of new browsers, persona after persona; each page shows its shelf, some baskets are filled."""
        for number in range(count):
            persona = personas[number % len(personas)]
            with httpx.Client(base_url=self.url, headers=self._headers(persona), timeout=10) as client:
                self._happened(client, persona, self._decision(client)["id"])

    def policy(self) -> str:
        """Who decides for a visitor now."""
        with httpx.Client(base_url=self.url, timeout=10) as client:
            return self._decision(client)["policy"]

    def _decision(self, client: httpx.Client) -> dict[str, str]:
        answer = client.post("/graphql", json={"query": QUERY, "variables": {"context": {}}})
        decision: dict[str, str] = answer.json()["data"]["recommendations"]["decision"]
        return decision

    def _happened(self, client: httpx.Client, persona: Persona, decision: str) -> None:
        events = [{"type": "displayed", "decisionId": decision}]
        kind = self.chance.choice((None, "detail_displayed", "added_to_basket"))
        self.rewards[persona.value][decision] = {None: 0, "detail_displayed": 1, "added_to_basket": 3}[kind]
        if kind is not None:
            events.append({"type": kind, "decisionId": decision})
        assert client.post("/events", json=events).json()["accepted"] == len(events)

    def _headers(self, persona: Persona) -> dict[str, str]:
        if persona is Persona.VISITOR:
            return {}
        settings = Settings(data_dir=self.data_dir)
        return {"Authorization": f"Bearer {signed(settings, str(list(Persona).index(persona)), role=persona.value)}"}
