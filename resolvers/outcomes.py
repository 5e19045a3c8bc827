"""Outcomes: what viewers did after a decision, reported by pages."""

from datetime import UTC, datetime
from typing import Annotated

import strawberry
from strawberry import ID, Info

from personalization import outcomes as reported
from personalization.events import OutcomeKind
from personalization.outcomes import MOST_REPORTS, OutcomeReport
from resolvers.cost import Cost
from resolvers.errors import InvalidArgument
from resolvers.fields import listed, resolved
from resolvers.visit import Visit


@strawberry.input(description="What a viewer did after a decision.")
class OutcomeInput:
    """One report."""

    decision_id: ID = strawberry.field(description="Id of the decision that led here.")
    kind: OutcomeKind = strawberry.field(description="What the viewer did.")
    id: ID | None = strawberry.field(
        default=None, description="The page's own id of this report: sent again, it counts once. Left out, all count."
    )
    product_id: ID | None = strawberry.field(default=None, description="The product it was done to.")
    quantity: int | None = strawberry.field(default=None, description="Units, 1 to 999.")
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="When, by the page's clock; left out, now. Taken from a day ago to a minute ahead.",
    )


@strawberry.type(description="A report that was not taken.")
class Rejection:
    """Shows `outcomes.Rejection`."""

    index: int = listed("Its place among the reports, from 0.")
    code: str = listed("Which rule it breaks, for programs.")
    message: str = listed("Which rule it breaks, for people.")


@strawberry.type(description="What became of the reports. What is accepted is durable.")
class ReportResult:
    """Shows `outcomes.ReportResult`."""

    accepted: int = listed("Reports that were new.")
    duplicates: int = listed("Reports that were there already.")
    rejected: list[Rejection] = listed("Reports that were not taken.")


async def _report(
    info: Info[Visit, None],
    outcomes: Annotated[list[OutcomeInput], strawberry.argument(description="Up to 100 reports.")],
) -> reported.ReportResult:
    if len(outcomes) > MOST_REPORTS:
        raise InvalidArgument(f"`outcomes` has {len(outcomes)} members; at most {MOST_REPORTS} are allowed")
    visit = info.context
    reports = [_as_report(outcome) for outcome in outcomes]
    return await visit.outcomes.report(reports, session=visit.viewer.session, trace_id=visit.trace_id)


def _as_report(outcome: OutcomeInput) -> OutcomeReport:
    at = outcome.occurred_at
    return OutcomeReport(
        decision_id=str(outcome.decision_id),
        kind=outcome.kind.value,
        id=str(outcome.id) if outcome.id is not None else None,
        # A time without a zone is taken as UTC: a page that leaves the zone out most likely means it.
        occurred_at=at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at,
        product_id=str(outcome.product_id) if outcome.product_id is not None else None,
        quantity=outcome.quantity,
    )


@strawberry.type
class OutcomeMutations:
    """Reports of outcomes."""

    report: ReportResult = resolved(
        _report,
        description="Report what a viewer did after decisions; answered when it is durable.",
        directives=[Cost(weight=10)],
    )
