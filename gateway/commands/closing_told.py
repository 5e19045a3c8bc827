"""How closings are told on a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from personalization.classification.deploy import Closed

_DRIFTED = 0.1


def story_of(done: "Closed", console: Console) -> None:
    """What came of a closing: data, marks, the gates' verdicts, and who is live now."""
    rows = done.rows
    console.print(
        f"{done.period}: {done.customers:,} customers; {rows['train']:,} rows to train, {rows['validation']:,} to "
        f"validate, {rows['test']:,} to test, split {done.evidence['split']}",
        highlight=False,
    )
    for remark in done.remarks:
        console.print(f"  note: {remark}", highlight=False)
    console.print(_marks(_mapping(done.evidence["evaluation"])))
    console.print(_verdicts(done))
    console.print(_end(done), highlight=False, markup=False)


def list_of(closings: Sequence["Closed"], live: int | None, console: Console) -> None:
    """A row a closing."""
    table = Table("period", "customers", "model", "macro-F1", "live model's", "what came of it", box=None)
    for done in closings:
        served = _mapping(done.evidence["evaluation"])["live"]
        mark = "*" if live is not None and done.model.endswith(f"@{live}") else ""
        beside = "-" if served is None else f"{served['macro_f1']:.3f}"
        came = f"deployed, {_before(done)}" if done.deployed else f"refused: {done.refusal}"
        cells = done.period, f"{done.customers:,}", done.model + mark, f"{done.macro_f1:.3f}", beside, came
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    console.print("* is live" if live is not None else "nothing is live", highlight=False)


def details_of(done: "Closed", console: Console) -> None:
    """Recall and confusion by segment, and the features that drifted most."""
    found = _mapping(done.evidence["evaluation"])
    candidate = found["candidate"]
    table = Table("true segment", "rows", "recall", *(f"told {name}" for name in candidate["segments"]), box=None)
    for name, row in zip(candidate["segments"], candidate["confusion"], strict=True):
        recall = candidate["recall"].get(name)
        told = "-" if recall is None else f"{recall:.3f}"
        table.add_row(name, str(candidate["support"].get(name, 0)), told, *map(str, row))
    console.print(table)
    drift = sorted(found["feature_drift"].items(), key=lambda each: -each[1])
    moved = [f"{name} {value:.2f}" for name, value in drift if value >= _DRIFTED]
    console.print(f"drifted since the closing before: {', '.join(moved) or 'nothing'}", highlight=False)
    console.print(f"data set {done.dataset_sha256[:16]}, features {done.schema_hash}", highlight=False)


def _marks(found: Mapping[str, Any]) -> Table:
    table = Table("on the test rows", "macro-F1", "log-loss", "calibration error", box=None)
    names = {"candidate": "this model", "live": "the live model", "logistic": "logistic regression"}
    for key, name in {**names, "majority": "the majority"}.items():
        if (marks := found[key]) is not None:
            table.add_row(name, *(f"{marks[each]:.3f}" for each in ("macro_f1", "log_loss", "calibration")))
    return table


def _verdicts(done: "Closed") -> Table:
    table = Table("gate", "verdict", "because", box=None)
    verdicts = done.evidence["verdicts"]
    for each in verdicts if isinstance(verdicts, Sequence) else ():
        verdict = _mapping(each)
        passed = Text("passed", "green") if verdict["passed"] else Text("refused", "red")
        table.add_row(Text(str(verdict["gate"])), passed, Text(str(verdict["because"])))
    return table


def _end(done: "Closed") -> str:
    if done.deployed:
        return f"{done.model} is live with the segments of all customers, {_before(done)}"
    if done.scored_by is None:
        return f"{done.model} was refused; nothing is live that could score these features"
    return f"{done.model} was refused; {done.scored_by} stays live and has scored everybody anew"


def _before(done: "Closed") -> str:
    return "the first" if done.replaced is None else f"in place of {done.replaced}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
