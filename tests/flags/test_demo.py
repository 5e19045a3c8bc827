"""The demo shop's definitions: all good, eleven components on the home page, and what each persona gets."""

import pytest

from flags.components import Components
from flags.evaluation import FlagSet
from flags.live import DEMO_DIRECTORY
from flags.subject import Subject
from personalization.events import Persona
from tests.flags.writing import read

HOME = {
    "navigation",
    "hero",
    "search",
    "shelf",
    "product-tile",
    "basket-drawer",
    "quick-reorder",
    "bulk-pad",
    "team-page",
    "onboarding",
    "coupons",
}


def _components() -> Components:
    flags = FlagSet(read(DEMO_DIRECTORY))
    assert flags.definitions.refused == ()
    return Components(lambda: flags)


def test_the_home_page_has_eleven_components() -> None:
    choices = _components().choose(Subject(), page="home")
    assert {choice.name for choice in choices} == HOME


@pytest.mark.parametrize("page", ["home", "category", "search", "product", "basket"])
def test_each_page_has_components_and_none_fails(page: str) -> None:
    for persona in Persona:
        choices = _components().choose(Subject("customer:1", {"persona": persona}), page=page)
        assert len(choices) >= 3
        assert {choice.reason.value for choice in choices} <= {"DEFAULT", "TARGETING", "KILL_SWITCH"}


@pytest.mark.parametrize(
    ("persona", "only"),
    [
        (Persona.VISITOR, {"onboarding"}),
        (Persona.BUILDER, {"team-page"}),
        (Persona.CONSULTANT, {"quick-reorder", "coupons"}),
        (Persona.SHOP_OWNER, {"quick-reorder", "bulk-pad"}),
        (Persona.DIRECT_CUSTOMER, {"coupons"}),
    ],
)
def test_each_persona_gets_its_own_home_page(persona: Persona, only: set[str]) -> None:
    subject = Subject(
        "customer:1",
        {"persona": persona, "season": "AUTUMN", "device": "DESKTOP", "appVersion": "2.2.0", "region": "US-S"},
    )
    on = {choice.name for choice in _components().choose(subject, page="home") if choice.enabled}
    for_some = {"onboarding", "team-page", "quick-reorder", "bulk-pad", "coupons"}
    assert on & for_some == only
    assert on - for_some == HOME - for_some


def test_the_public_default_is_the_first_version_of_everything_that_is_on() -> None:
    choices = _components().choose(Subject(), page="home")
    assert {choice.version for choice in choices if choice.enabled} == {"v1"}
