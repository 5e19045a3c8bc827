"""What the console answers with is made once for many, and what it remembers is bounded."""

import asyncio
import threading
from collections import Counter

import pytest

from gateway.console.answers import Answers
from gateway.console.samples import History, Sample


async def test_many_who_ask_at_once_cost_one_answer() -> None:
    answers, made, go = Answers(kept_s=60.0), Counter[str](), threading.Event()

    def make() -> object:
        made["times"] += 1
        assert go.wait(10)
        return {"made": made["times"]}

    try:
        asking = [asyncio.create_task(answers.answer("one", make)) for _ in range(50)]
        await asyncio.sleep(0)
        go.set()
        assert set(await asyncio.gather(*asking)) == {b'{"made":1}'}
        assert await answers.answer("one", make) == b'{"made":1}'
        answers.forget()
        assert await answers.answer("one", make) == b'{"made":2}'
    finally:
        go.set()
        await answers.aclose()


async def test_an_answer_that_fails_is_made_again_and_one_who_leaves_takes_nothing_with_him() -> None:
    answers, go = Answers(kept_s=0.0), threading.Event()
    with pytest.raises(ZeroDivisionError):
        await answers.answer("one", lambda: 1 / 0)
    waiting = asyncio.create_task(answers.answer("two", lambda: go.wait(10)))
    other = asyncio.create_task(answers.answer("two", lambda: False))
    await asyncio.sleep(0)
    waiting.cancel()
    go.set()
    assert await other == b"true"
    assert await answers.answer("one", lambda: 1) == b"1"
    await answers.aclose()


async def test_samples_are_kept_for_half_an_hour_and_a_bad_one_is_left_out() -> None:
    enough, taken = asyncio.Event(), iter(range(1_000_000))
    loop = asyncio.get_running_loop()

    def take() -> Sample:
        number = next(taken)
        if number == 200:
            raise ValueError("half written")
        if number == 300:
            loop.call_soon_threadsafe(enough.set)
        return {"at": number}

    history = History(take, every=0.0)
    await history.start()
    await asyncio.wait_for(enough.wait(), 20)
    await history.aclose()
    ats = [each["at"] for each in history.since(-1)]
    assert len(ats) == 180
    assert 200 not in ats
    assert [each["at"] for each in history.since(ats[-3])] == ats[-2:]
