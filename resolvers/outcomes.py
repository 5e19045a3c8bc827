"""Outcomes: what viewers did after a decision and what became of exposures, reported by pages."""

from datetime import UTC, datetime
from typing import Annotated

import strawberry
from strawberry import ID, Info

from personalization import outcomes as reported
from personalization.events import ExposureEventKind, OutcomeKind
from personalization.outcomes import MOST_REPORTS, ExposureReport, OutcomeReport
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
    duration_s: float | None = strawberry.field(
        default=None, description="Seconds that it was displayed until then, 0 to 86,400."
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="When, by the page's clock; left out, now. Taken from a day ago to a minute ahead.",
    )


@strawberry.input(description="What became of a variant that a viewer was given.")
class ExposureEventInput:
    """One report of an exposure."""

    exposure_id: ID = strawberry.field(description="Id of the exposure.")
    kind: ExposureEventKind = strawberry.field(description="What became of it.")
    id: ID | None = strawberry.field(
        default=None, description="The page's own id of this report: sent again, it counts once. Left out, all count."
    )
    occurred_at: datetime | None = strawberry.field(
        default=None,
        description="When, by the page's clock; left out, now. Taken from a day ago to a minute ahead.",
    )


@strawberry.type(description="A report that was not taken.")
class Rejection:
    """Shows `outcomes.Rejection`."""

    index: int = listed("Its place among the reports, from 0; those of exposures come after those of outcomes.")
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
    exposures: Annotated[
        list[ExposureEventInput] | None,
        strawberry.argument(description="Reports of exposures, up to 100 together with the outcomes."),
    ] = None,
) -> reported.ReportResult:
    reports: list[reported.Report] = [*map(_as_report, outcomes), *map(_as_exposure_report, exposures or ())]
    if len(reports) > MOST_REPORTS:
        name = "`outcomes` and `exposures` have" if exposures else "`outcomes` has"
        raise InvalidArgument(f"{name} {len(reports)} members; at most {MOST_REPORTS} are allowed")
    visit = info.context
    visit.admit(len(reports))
    return await visit.outcomes.report(reports, session=visit.viewer.session, trace_id=visit.trace_id)


def _as_report(outcome: OutcomeInput) -> OutcomeReport:
    return OutcomeReport(
        decision_id=str(outcome.decision_id),
        kind=outcome.kind.value,
        id=_text(outcome.id),
        occurred_at=_aware(outcome.occurred_at),
        product_id=_text(outcome.product_id),
        quantity=outcome.quantity,
        duration_s=outcome.duration_s,
    )


def _as_exposure_report(event: ExposureEventInput) -> ExposureReport:
    return ExposureReport(
        exposure_id=str(event.exposure_id),
        kind=event.kind.value,
        id=_text(event.id),
        occurred_at=_aware(event.occurred_at),
    )


def _text(given: ID | None) -> str | None:
    return None if given is None else str(given)


def _aware(at: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC: a page that leaves the zone out most likely means it."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


@strawberry.type
class OutcomeMutations:
    """Reports of outcomes."""

    report: ReportResult = resolved(
        _report,
        description="Report what a viewer did after decisions and what became of exposures; answered when durable.",
        directives=[Cost(weight=10)],
    )
