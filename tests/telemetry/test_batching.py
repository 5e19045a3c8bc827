"""Loads of one visit come in few batches, each key once, and nobody suffers from what others do."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer
from prometheus_client import CollectorRegistry

from gateway.telemetry import GatewayTracer
from resolvers.batching import LONGEST_TURNS, QUIET_TURNS, BatchLoader, LoaderMetrics
from resolvers.errors import SourceUnavailable


class Shop:
    """Answers keys with their hundredfold and remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.asked = asyncio.Event()
        self.answer: Callable[[Sequence[int]], Sequence[int | Exception]] = lambda keys: [key * 100 for key in keys]

    async def fetch(self, keys: Sequence[int]) -> Sequence[int | Exception]:
        self.batches.append(list(keys))
        self.asked.set()
        await asyncio.sleep(0)
        return self.answer(keys)


def loader_of(
    shop: Shop, *, tracer: Tracer | None = None, registry: CollectorRegistry | None = None, size: int = 250
) -> BatchLoader[int, int]:
    metrics = LoaderMetrics(registry or CollectorRegistry())
    return BatchLoader("numbers", shop.fetch, tracer=tracer or GatewayTracer(), metrics=metrics, max_batch_size=size)


async def load_after(loader: BatchLoader[int, int], key: int, turns: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return await loader.load(key)


Plans = st.lists(st.tuples(st.integers(0, 20), st.integers(0, LONGEST_TURNS)), min_size=1, max_size=40)


@given(Plans)
def test_loads_at_different_turns_make_a_bounded_number_of_batches(plan: list[tuple[int, int]]) -> None:
    shop = Shop()

    async def run() -> list[int]:
        loader = loader_of(shop)
        return await asyncio.gather(*(load_after(loader, key, turns) for key, turns in plan))

    assert asyncio.run(run()) == [key * 100 for key, _ in plan], "each task gets its own key's value"
    latest = max(turns for _, turns in plan)
    assert len(shop.batches) <= 1 + latest // (QUIET_TURNS + 1), "a batch is only sent after quiet turns"
    asked = [key for batch in shop.batches for key in batch]
    assert sorted(asked) == sorted({key for key, _ in plan}), "no key is asked twice"


@given(st.lists(st.integers(0, QUIET_TURNS), min_size=1, max_size=40))
def test_loads_within_the_quiet_turns_are_one_batch(turns: list[int]) -> None:
    shop = Shop()

    async def run() -> None:
        loader = loader_of(shop)
        await asyncio.gather(*(load_after(loader, key, wait) for key, wait in enumerate(turns)))

    asyncio.run(run())
    assert len(shop.batches) == 1


@given(st.integers(1, 200), st.integers(1, 50))
def test_batches_hold_at_most_what_they_may(count: int, size: int) -> None:
    shop = Shop()

    async def run() -> list[int]:
        return await loader_of(shop, size=size).load_many(range(count))

    assert asyncio.run(run()) == [key * 100 for key in range(count)]
    assert max(map(len, shop.batches)) <= size
    assert len(shop.batches) == -(-count // size)


async def test_a_steady_trickle_does_not_hold_a_batch_back_for_ever() -> None:
    shop = Shop()
    loader = loader_of(shop)
    pending: list[asyncio.Future[int]] = []
    for key in range(LONGEST_TURNS * 3):
        pending.append(loader.load(key))
        await asyncio.sleep(0)
    assert pending[0].done()
    assert await asyncio.gather(*pending) == [key * 100 for key in range(LONGEST_TURNS * 3)]


async def test_values_are_remembered_for_the_visit() -> None:
    shop = Shop()
    loader = loader_of(shop)
    assert [await loader.load(1), await loader.load(1)] == [100, 100]
    assert shop.batches == [[1]]
    loader.clear(1)
    assert await loader.load(1) == 100
    assert shop.batches == [[1], [1]]


async def test_a_load_while_its_key_is_on_the_way_joins_the_batch() -> None:
    shop = Shop()
    loader = loader_of(shop)
    first = loader.load(1)
    await shop.asked.wait()
    assert list(await asyncio.gather(first, loader.load(1))) == [100, 100]
    assert shop.batches == [[1]]


async def test_a_failed_batch_fails_its_loads_and_is_tried_again_later() -> None:
    shop = Shop()
    loader = loader_of(shop)

    def fail(_keys: Sequence[int]) -> Sequence[int]:
        raise SourceUnavailable("the shop is down")

    works, shop.answer = shop.answer, fail
    failed = await asyncio.gather(loader.load(1), loader.load(2), return_exceptions=True)
    assert [type(error) for error in failed] == [SourceUnavailable, SourceUnavailable]
    shop.answer = works
    assert await loader.load_many([1, 2]) == [100, 200]


async def test_an_exception_in_the_place_of_a_value_fails_that_key_only() -> None:
    shop = Shop()
    loader = loader_of(shop)
    shop.answer = lambda keys: [LookupError(str(key)) if key == 2 else key for key in keys]
    one, two = await asyncio.gather(loader.load(1), loader.load(2), return_exceptions=True)
    assert one == 1
    assert isinstance(two, LookupError)
    with pytest.raises(LookupError):
        await loader.load_many([1, 2])


async def test_an_answer_of_the_wrong_length_is_out_of_contract() -> None:
    shop = Shop()
    shop.answer = lambda keys: [0] * (len(keys) + 1)
    with pytest.raises(SourceUnavailable, match="asked for 1 values and got 2"):
        await loader_of(shop).load(1)


async def test_who_gives_up_disturbs_nobody_else() -> None:
    shop = Shop()
    loader = loader_of(shop)
    hasty, patient = asyncio.create_task(load_after(loader, 1, 0)), asyncio.create_task(load_after(loader, 1, 0))
    await asyncio.sleep(0)
    hasty.cancel()
    assert await patient == 100
    with pytest.raises(asyncio.CancelledError):
        await hasty


async def test_what_nobody_waits_for_any_more_is_not_fetched() -> None:
    shop = Shop()
    loader = loader_of(shop)
    given_up, wanted = loader.load(1), loader.load(2)
    given_up.cancel()
    assert await wanted == 200
    assert shop.batches == [[2]]
    assert await loader.load(1) == 100, "and can be asked for again"


async def test_a_cancelled_fetch_cancels_its_loads() -> None:
    shop = Shop()
    loader = loader_of(shop)
    load = loader.load(1)
    await shop.asked.wait()
    loader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await load


async def test_a_primed_value_answers_those_who_wait_and_is_not_fetched() -> None:
    shop = Shop()
    loader = loader_of(shop)
    waiting = loader.load(1)
    loader.prime(1, -1)
    assert [await waiting, await loader.load(1)] == [-1, -1]
    loader.prime(1, -2)
    assert await loader.load(1) == -1, "what is known stays"
    assert await loader.load(2) == 200
    assert shop.batches == [[2]]


async def test_batches_are_counted(registry: CollectorRegistry) -> None:
    shop = Shop()
    loader = loader_of(shop, registry=registry)
    await loader.load_many([1, 2, 3])
    shop.answer = lambda keys: [LookupError("x") for _ in keys]
    await asyncio.gather(loader.load(4), return_exceptions=True)
    shop.answer = lambda keys: []
    await asyncio.gather(loader.load(5), return_exceptions=True)

    def batches(outcome: str) -> float | None:
        return registry.get_sample_value("gateway_loader_batches_total", {"loader": "numbers", "outcome": outcome})

    assert [batches(outcome) for outcome in ("ok", "partial", "error")] == [1, 1, 1]
    assert registry.get_sample_value("gateway_loader_batch_size_sum", {"loader": "numbers"}) == 5
    assert registry.get_sample_value("gateway_loader_wait_seconds_count", {"loader": "numbers"}) == 3


async def test_a_batch_is_a_span_below_the_load_that_opened_it(spans: InMemorySpanExporter, tracer: Tracer) -> None:
    shop = Shop()
    loader = loader_of(shop, tracer=tracer)
    with tracer.start_as_current_span("opened"):
        await loader.load_many([1, 1, 2])
    batch, opened = spans.get_finished_spans()
    assert batch.name == "loader numbers"
    assert batch.parent == opened.context
    assert dict(batch.attributes or {}) == {"loader.name": "numbers", "loader.batch_size": 2, "loader.loads": 3}


async def test_a_failed_batch_says_its_kind_and_not_its_message(spans: InMemorySpanExporter, tracer: Tracer) -> None:
    shop = Shop()
    shop.answer = lambda keys: [LookupError("mary@example.org") for _ in keys]
    loader = loader_of(shop, tracer=tracer)
    with tracer.start_as_current_span("opened"):
        await asyncio.gather(loader.load(1), return_exceptions=True)
    batch = spans.get_finished_spans()[0]
    assert batch.status.status_code is StatusCode.ERROR
    assert (batch.attributes or {})["error.type"] == "LookupError"
    assert "mary" not in batch.to_json()


async def test_without_a_recorded_span_above_there_is_none(spans: InMemorySpanExporter, tracer: Tracer) -> None:
    await loader_of(Shop(), tracer=tracer).load(1)
    assert spans.get_finished_spans() == ()
