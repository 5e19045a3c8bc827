"""The circuit breaker under a clock that moves only when told to."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from personalization.clock import ManualClock
from resolvers.sources.circuit import Circuit, CircuitOpen


def manual() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def opened(clock: ManualClock, threshold: int = 3) -> Circuit:
    """A circuit that has just opened."""
    circuit = Circuit(threshold, 2.0, clock)
    for _ in range(threshold):
        circuit.failed(circuit.admit())
    return circuit


@given(st.integers(1, 10), st.lists(st.booleans(), max_size=60))
def test_it_opens_at_the_first_run_of_failures(threshold: int, answers: list[bool]) -> None:
    circuit = Circuit(threshold, 1.0, manual())
    run = 0
    for good in answers:
        (circuit.succeeded if good else circuit.failed)(circuit.admit())
        run = 0 if good else run + 1
        assert circuit.is_open == (run == threshold)
        if circuit.is_open:
            return


def test_open_it_refuses_until_the_recovery_is_over() -> None:
    clock = manual()
    circuit = opened(clock)
    clock.ticks += 1.999
    with pytest.raises(CircuitOpen):
        circuit.admit()
    clock.ticks += 0.001
    circuit.succeeded(circuit.admit())
    assert not circuit.is_open


def test_half_open_it_admits_one_probe_at_a_time() -> None:
    clock = manual()
    circuit = opened(clock)
    clock.ticks += 2.0
    probe = circuit.admit()
    for _ in range(5):
        with pytest.raises(CircuitOpen):
            circuit.admit()
    circuit.failed(probe)
    with pytest.raises(CircuitOpen):
        circuit.admit()
    clock.ticks += 2.0
    circuit.admit()


def test_an_abandoned_probe_leaves_its_place_and_says_nothing() -> None:
    clock = manual()
    circuit = opened(clock)
    clock.ticks += 2.0
    circuit.abandoned(circuit.admit())
    assert circuit.is_open
    circuit.succeeded(circuit.admit())
    assert not circuit.is_open


def test_calls_of_before_do_not_decide_over_the_probe() -> None:
    clock = manual()
    circuit = Circuit(1, 2.0, clock)
    late_good, late_bad, first = circuit.admit(), circuit.admit(), circuit.admit()
    circuit.failed(first)
    clock.ticks += 2.0
    probe = circuit.admit()
    circuit.succeeded(late_good)
    circuit.failed(late_bad)
    circuit.abandoned(late_bad)
    assert circuit.is_open
    with pytest.raises(CircuitOpen):
        circuit.admit()
    circuit.succeeded(probe)
    assert not circuit.is_open


def test_each_turn_is_told_once() -> None:
    turns: list[bool] = []
    clock = manual()
    circuit = Circuit(1, 2.0, clock, turns.append)
    circuit.failed(circuit.admit())
    clock.ticks += 2.0
    circuit.succeeded(circuit.admit())
    circuit.succeeded(circuit.admit())
    assert turns == [True, False]


class AnyOrder(RuleBasedStateMachine):
    """Calls begin, end and are given up in any order, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = manual()
        self.circuit = Circuit(2, 5.0, self.clock)
        self.pending: list[int] = []
        self.probes: list[int] = []

    @rule()
    def begin(self) -> None:
        was_open = self.circuit.is_open
        try:
            ticket = self.circuit.admit()
        except CircuitOpen:
            assert was_open
            return
        (self.probes if was_open else self.pending).append(ticket)

    @precondition(lambda self: self.pending)
    @rule(report=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def end(self, report: str) -> None:
        was_open = self.circuit.is_open
        getattr(self.circuit, report)(self.pending.pop(0))
        assert self.circuit.is_open >= was_open, "only a probe closes a circuit"

    @precondition(lambda self: self.probes)
    @rule(report=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def end_probe(self, report: str) -> None:
        getattr(self.circuit, report)(self.probes.pop())
        assert self.circuit.is_open == (report != "succeeded")

    @rule(seconds=st.sampled_from([0.5, 4.5, 5.0]))
    def wait(self, seconds: float) -> None:
        self.clock.ticks += seconds

    @invariant()
    def there_is_one_probe_at_most(self) -> None:
        assert len(self.probes) <= 1


TestAnyOrder = AnyOrder.TestCase
