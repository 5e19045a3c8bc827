"""The rules of the join come from settings, flags and the file above them, and follow the flags."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flags.errors import DefinitionsUnreadable
from gateway.join_rules import RuleSource, join_by, join_rules
from gateway.settings import Settings
from personalization.events import OutcomeKind
from personalization.join.reward import JoinRules, RewardRule
from tests.flags.writing import flag, write

LONGEST = 30.0


def folder(path: Path, **reward: Any) -> Path:
    """A folder of definitions whose hero is worth this."""
    path.mkdir(exist_ok=True)
    metadata = {"component": "hero", "personalized": True, **{f"reward.{name}": each for name, each in reward.items()}}
    write(path, {"component.hero": flag(metadata=metadata)})
    return path


def settings_of(**members: Any) -> Settings:
    return Settings.model_validate(members)


def worth(rules: JoinRules) -> dict[OutcomeKind, float]:
    return dict(rules.by_placement["component:hero"].values)


def test_a_file_of_rules_stands_above_the_flags(tmp_path: Path) -> None:
    flags = folder(tmp_path / "flags", DETAIL_DISPLAYED=1)
    settings = settings_of(flags_dir=flags, join_window_s=7)
    rule = RewardRule(((OutcomeKind.DETAIL_DISPLAYED, 1.0),), timedelta(seconds=7))
    assert join_rules(settings).by_placement == {"component:hero": rule}
    file = tmp_path / "rules.json"
    file.write_text('{"component:hero": {"values": {"PURCHASED": 2}}}')
    above = join_rules(settings_of(flags_dir=flags, join_rules=file))
    assert worth(above) == {OutcomeKind.PURCHASED: 2.0}
    with pytest.raises(DefinitionsUnreadable):
        join_rules(settings_of(flags_dir=tmp_path / "nowhere"))


async def test_a_changed_reward_is_followed_and_a_bad_one_is_not(tmp_path: Path) -> None:
    flags = folder(tmp_path / "flags", DETAIL_DISPLAYED=1)
    source = RuleSource(settings_of(flags_dir=flags))
    rules = source.read()
    change = asyncio.ensure_future(source.changed(rules))
    folder(flags, DETAIL_DISPLAYED=9)
    await asyncio.sleep(1.5)  # it has been looked at by now; were that later, the change below would be all there is
    folder(flags, DETAIL_DISPLAYED=2)
    async with asyncio.timeout(LONGEST):
        assert worth(await change) == {OutcomeKind.DETAIL_DISPLAYED: 2.0}


async def test_the_join_goes_on_by_the_new_rules(tmp_path: Path) -> None:
    flags = folder(tmp_path / "flags", DETAIL_DISPLAYED=1)
    source, stop, turns = RuleSource(settings_of(flags_dir=flags)), asyncio.Event(), asyncio.Queue[JoinRules]()

    async def join(rules: JoinRules, turn: asyncio.Event) -> None:
        turns.put_nowait(rules)
        await turn.wait()

    running = asyncio.ensure_future(join_by(source, source.read(), join, stop))
    async with asyncio.timeout(LONGEST):
        assert worth(await turns.get()) == {OutcomeKind.DETAIL_DISPLAYED: 1.0}
        folder(flags, PURCHASED=2)
        assert worth(await turns.get()) == {OutcomeKind.PURCHASED: 2.0}
        stop.set()
        await running
    assert turns.empty()


async def test_a_join_that_fails_is_told(tmp_path: Path) -> None:
    source = RuleSource(settings_of(flags_dir=folder(tmp_path / "flags")))

    async def join(_rules: JoinRules, _turn: asyncio.Event) -> None:
        raise DefinitionsUnreadable("broken")

    async with asyncio.timeout(LONGEST):
        with pytest.raises(DefinitionsUnreadable, match="broken"):
            await join_by(source, source.read(), join, asyncio.Event())
