"""What `gateway decisions show` prints."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from personalization.assembly import load_policy
from personalization.bandit.policy import Policy
from personalization.bandit.uniform import Uniform
from personalization.clock import SystemClock
from personalization.codec import decode_decision, decode_outcome
from personalization.decision.verification import (
    Finding,
    Verdict,
    contributions,
    verify_distribution,
    verify_draw,
)
from personalization.errors import ModelError, PersonaError, UnknownDecision
from personalization.events import Decision, Outcome
from personalization.hub.lookup import HubLookup
from personalization.hub.sqlite_file import HUB_FILE
from personalization.hub.topics import DECISIONS, OUTCOMES
from personalization.join.reward import JoinRules, RewardRule, moment_of
from personalization.registry import REGISTRY_FOLDER, ModelRegistry


def print_report(console: Console, folder: Path, decision_id: str, rules: JoinRules) -> bool:
    """Print a decision of the hub in `folder`, verified, and what these rules say it came to.

    Gives whether nothing about it is contradicted.

    Raises:
        UnknownDecision: the hub has none with this id.
        HubUnavailable: the hub cannot be read.
    """
    hub = HubLookup(folder / HUB_FILE)
    value = hub.value(DECISIONS, decision_id)
    if value is None:
        raise UnknownDecision(f"the hub has no decision {decision_id!r} (any more)")
    decision = decode_decision(value)
    outcomes = [decode_outcome(each) for each in hub.values_of(OUTCOMES, decision_id)]
    policy = _policy(decision, folder)
    findings = [verify_draw(decision), verify_distribution(decision, policy)]
    _print_decision(console, decision)
    _print_findings(console, findings)
    if policy is not None:
        _print_contributions(console, decision, policy)
    _print_outcomes(console, decision, outcomes, rules.rule_of(decision))
    return all(each.verdict is not Verdict.CONTRADICTED for each in findings)


def _policy(decision: Decision, folder: Path) -> Policy | None:
    """The policy that decided, when it is still there and whole."""
    uniform = Uniform()
    if decision.policy == uniform.version:
        return uniform
    name, _, version = decision.policy.rpartition("@")
    try:
        return load_policy(ModelRegistry(folder / REGISTRY_FOLDER, SystemClock()).load(name, int(version)))
    except (ModelError, ValueError):
        return None


def _print_decision(console: Console, decision: Decision) -> None:
    table = _table("", "")
    context = decision.context
    members = {name: getattr(context, name) for name in context.__slots__}
    rows = {
        "decision": decision.id,
        "at": decision.at.isoformat(" ", "milliseconds"),
        "policy": f"{decision.policy}, {decision.mode.value}, {decision.reason}",
        "context": " ".join(f"{name}={value}" for name, value in members.items() if value is not None),
        "subject": decision.subject or "-",
        "session": decision.session or "-",
        "trace": decision.trace_id or "-",
    }
    for name, text in rows.items():
        table.add_row(name, Text(text))
    _print(console, table)
    actions = _table("action", "probability", "")
    for action, probability in zip(decision.actions, decision.distribution, strict=True):
        actions.add_row(Text(action), f"{probability:.6f}", "chosen" if action == decision.action else "")
    _print(console, actions)


def _print_findings(console: Console, findings: Sequence[Finding]) -> None:
    table = _table("checked", "verdict", "")
    for each in findings:
        table.add_row(each.what, each.verdict.value, Text(each.detail))
    _print(console, table)


def _print_contributions(console: Console, decision: Decision, policy: Policy) -> None:
    """By leaving each member out, since that holds for every kind of policy."""
    try:
        found = contributions(decision, policy)
    except PersonaError:  # the finding about the distribution says why
        return
    table = _table("member of the context", "probability without it", "so it added")
    now = policy.distribution(decision.context, decision.actions)[decision.actions.index(decision.action)]
    for each in found:
        table.add_row(Text(f"{each.member}={each.value}"), f"{each.without:.4f}", f"{now - each.without:+.4f}")
    if found:
        _print(console, table)


def _print_outcomes(console: Console, decision: Decision, outcomes: Sequence[Outcome], rule: RewardRule) -> None:
    after = {each.id: moment_of(each, decision.at) - decision.at for each in outcomes}
    counting = [each for each in outcomes if after[each.id] <= rule.window]
    table = _table("outcome", "product", "after", "worth")
    for each in sorted(outcomes, key=lambda outcome: after[outcome.id]):
        worth = rule.reward([each]) if each in counting else 0.0
        seconds = after[each.id].total_seconds()
        table.add_row(each.kind.value, Text(each.product_id or "-"), f"{seconds:.1f} s", f"{worth:g}")
    if outcomes:
        _print(console, table)
    seen = "displayed" if rule.displayed(counting) else "not known to be displayed"
    console.print(f"reward {rule.reward(counting):g}, {len(outcomes)} outcomes, {seen}")


def _print(console: Console, table: Table) -> None:
    console.print(table)
    console.print()


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, show_header=any(columns), padding=(0, 2, 0, 0))
