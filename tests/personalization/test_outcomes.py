"""Outcomes are checked one by one, written once, and durable before anybody is told so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from personalization.clock import ManualClock
from personalization.codec import decode_exposure_event, decode_outcome
from personalization.errors import HubUnavailable, InvalidEvent
from personalization.events import ExposureEvent, ExposureEventKind, Outcome, OutcomeKind
from personalization.hub.memory import MemoryHub
from personalization.hub.topics import EXPOSURE_EVENTS, OUTCOMES
from personalization.outcomes import ExposureReport, OutcomeReport, Outcomes, Report, ReportResult
from tests.personalization.hub_suite import START, drain

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DECISION = "0198c0de-0000-7000-8000-000000000001"
EXPOSURE = "4f1c0de0-7a5e-8bad-a111-0123456789ab"
REPORT = OutcomeReport(DECISION, OutcomeKind.DETAIL_DISPLAYED)
SEEN = ExposureReport(EXPOSURE, ExposureEventKind.SEEN)


class Setup:
    """An intake over a hub that can be looked at and broken."""

    def __init__(self) -> None:
        numbers = count()
        self.registry = CollectorRegistry()
        clock = ManualClock(START)
        self.hub = MemoryHub(clock, lambda: "m")
        self.outcomes = Outcomes(
            self.hub, clock=clock, ids=lambda: f"o{next(numbers)}", tracer=NoOpTracer(), registry=self.registry
        )

    async def stored(self) -> list[Outcome]:
        async with self.hub.consumer("checking", [OUTCOMES]) as consumer:
            return [decode_outcome(each.event.value) for each in await drain(consumer, commit=False)]

    async def exposed(self) -> list[ExposureEvent]:
        async with self.hub.consumer("checking", [EXPOSURE_EVENTS]) as consumer:
            return [decode_exposure_event(each.event.value) for each in await drain(consumer, commit=False)]

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_a_report_becomes_an_outcome(setup: Setup) -> None:
    at = START - timedelta(seconds=3)
    report = OutcomeReport(DECISION.upper(), "ADDED_TO_BASKET", "click-1", at, "4711", 2, 7)
    result = await setup.outcomes.report([report], session="s1", trace_id="ab" * 16)
    assert result == ReportResult(1, 0, ())
    (outcome,) = await setup.stored()
    assert (outcome.decision_id, outcome.kind) == (DECISION, OutcomeKind.ADDED_TO_BASKET)
    assert (outcome.occurred_at, outcome.received_at) == (at, START)
    assert (outcome.product_id, outcome.quantity, outcome.session) == ("4711", 2, "s1")
    assert (outcome.trace_id, outcome.duration_s) == ("ab" * 16, 7.0)
    assert setup.count("gateway_outcomes_total", kind="ADDED_TO_BASKET", result="accepted") == 1


async def test_a_repeated_id_is_one_outcome_of_its_decision(setup: Setup) -> None:
    first = replace(REPORT, id="x")
    other_decision = replace(first, decision_id="0198c0de-0000-7000-8000-000000000002")
    assert await setup.outcomes.report([first, first, other_decision]) == ReportResult(2, 1, ())
    assert await setup.outcomes.report([first], session="elsewhere") == ReportResult(0, 1, ())
    assert len(await setup.stored()) == 2
    assert setup.count("gateway_outcomes_total", kind="DETAIL_DISPLAYED", result="accepted") == 2
    assert setup.count("gateway_outcomes_total", kind="DETAIL_DISPLAYED", result="duplicate") == 2


async def test_reports_without_an_id_all_count(setup: Setup) -> None:
    assert await setup.outcomes.report([REPORT, REPORT]) == ReportResult(2, 0, ())


async def test_a_report_of_an_exposure_becomes_an_event(setup: Setup) -> None:
    at = START - timedelta(seconds=3)
    report = ExposureReport(EXPOSURE.upper(), "RENDERED", "hero-1", at)
    result = await setup.outcomes.report([report, report], session="s1", trace_id="ab" * 16)
    assert result == ReportResult(1, 1, ())
    (event,) = await setup.exposed()
    assert (event.exposure_id, event.kind) == (EXPOSURE, ExposureEventKind.RENDERED)
    assert (event.occurred_at, event.received_at) == (at, START)
    assert (event.session, event.trace_id) == ("s1", "ab" * 16)
    assert setup.count("gateway_exposure_events_total", kind="RENDERED", result="accepted") == 1
    assert setup.count("gateway_exposure_events_total", kind="RENDERED", result="duplicate") == 1


async def test_both_kinds_of_reports_come_in_one_batch(setup: Setup) -> None:
    one, other = replace(REPORT, id="x"), replace(SEEN, id="x")
    assert await setup.outcomes.report([one, other, one, other]) == ReportResult(2, 2, ())
    assert len(await setup.stored()) == len(await setup.exposed()) == 1


async def test_page_time_of_an_exposure_is_bounded_too(setup: Setup) -> None:
    await setup.outcomes.report([replace(SEEN, occurred_at=START + timedelta(hours=1))])
    (event,) = await setup.exposed()
    assert event.occurred_at == START + timedelta(seconds=60)
    assert setup.count("gateway_outcomes_skewed_total", direction="future") == 1


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (replace(REPORT, decision_id="17"), "INVALID_DECISION_ID"),
        (replace(REPORT, decision_id=""), "INVALID_DECISION_ID"),
        (replace(REPORT, decision_id=DECISION.replace("-", "")), "INVALID_DECISION_ID"),
        (replace(REPORT, decision_id=f"{{{DECISION}}}"), "INVALID_DECISION_ID"),
        (replace(REPORT, decision_id="\ud800"), "INVALID_DECISION_ID"),
        (replace(REPORT, kind="detail_displayed"), "UNKNOWN_KIND"),
        (replace(REPORT, kind="REFUNDED"), "UNKNOWN_KIND"),
        (replace(REPORT, id=""), "INVALID_ID"),
        (replace(REPORT, id="x" * 129), "INVALID_ID"),
        (replace(REPORT, id="a\nb"), "INVALID_ID"),
        (replace(REPORT, product_id="\ud800"), "INVALID_PRODUCT_ID"),
        (replace(REPORT, product_id="x\x00"), "INVALID_PRODUCT_ID"),
        (replace(REPORT, quantity=0), "INVALID_QUANTITY"),
        (replace(REPORT, quantity=1000), "INVALID_QUANTITY"),
        (replace(REPORT, duration_s=-0.1), "INVALID_DURATION"),
        (replace(REPORT, duration_s=86_400.1), "INVALID_DURATION"),
        (replace(REPORT, duration_s=float("nan")), "INVALID_DURATION"),
        (replace(REPORT, duration_s=float("inf")), "INVALID_DURATION"),
        (replace(REPORT, occurred_at=datetime(2026, 1, 1)), "INVALID_TIME"),
        (replace(SEEN, exposure_id=""), "INVALID_EXPOSURE_ID"),
        (replace(SEEN, exposure_id="17"), "INVALID_EXPOSURE_ID"),
        (replace(SEEN, kind="DISPLAYED"), "UNKNOWN_KIND"),
        (replace(SEEN, id="a\nb"), "INVALID_ID"),
        (replace(SEEN, occurred_at=datetime(2026, 1, 1)), "INVALID_TIME"),
        (replace(REPORT, occurred_at=datetime.fromisoformat("0001-01-01T00:00:00+14:00")), "INVALID_TIME"),
    ],
)
async def test_a_report_that_breaks_a_rule_is_refused_alone(setup: Setup, report: Report, code: str) -> None:
    result = await setup.outcomes.report([REPORT, report, REPORT])
    assert (result.accepted, result.duplicates) == (2, 0)
    assert [(each.index, each.code) for each in result.rejected] == [(1, code)]
    assert len(await setup.stored()) == 2
    assert setup.count("gateway_outcomes_rejected_total", code=code) == 1


@given(st.datetimes(timezones=st.timezones() | st.just(UTC), allow_imaginary=False))
@UNHURRIED
async def test_page_time_stays_within_its_window(at: datetime) -> None:
    setup = Setup()
    result = await setup.outcomes.report([replace(REPORT, occurred_at=at)])
    for outcome in await setup.stored():
        assert START - timedelta(hours=24) <= outcome.occurred_at <= START + timedelta(seconds=60)
        assert outcome.received_at == START
        moved = setup.count("gateway_outcomes_skewed_total", direction="past") or setup.count(
            "gateway_outcomes_skewed_total", direction="future"
        )
        assert bool(moved) == (outcome.occurred_at != at)
    assert result.accepted or [each.code for each in result.rejected] == ["INVALID_TIME"]


async def test_nothing_is_acknowledged_while_the_hub_is_away(setup: Setup) -> None:
    setup.hub.fail("no space left")
    with pytest.raises(HubUnavailable):
        await setup.outcomes.report([REPORT])
    setup.hub.fail(None)
    assert await setup.stored() == []
    assert setup.count("gateway_outcomes_total", kind="DETAIL_DISPLAYED", result="accepted") == 0


async def test_a_batch_is_bounded(setup: Setup) -> None:
    with pytest.raises(InvalidEvent, match="at most 100 outcomes may come at once, got 101"):
        await setup.outcomes.report([REPORT] * 101)
    assert (await setup.outcomes.report([REPORT] * 100)).accepted == 100


async def test_an_empty_batch_and_one_of_only_bad_reports_need_no_hub(setup: Setup) -> None:
    setup.hub.fail("no space left")
    assert await setup.outcomes.report([]) == ReportResult(0, 0, ())
    assert len((await setup.outcomes.report([replace(REPORT, kind="?")])).rejected) == 1
