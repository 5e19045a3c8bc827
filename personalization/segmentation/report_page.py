"""The report of segments as a page of HTML that needs nothing beside it."""

from collections.abc import Iterator
from datetime import datetime
from html import escape

from personalization.charts import Flow, bar_chart, flow_chart, grid, heat_table, page, table
from personalization.segmentation.features import FeatureTable, short_label
from personalization.segmentation.report import Portrait, Report

_EFFECTS = 8
_SYNTHETIC = "Personas of the embedded shop are synthetic, and follow the behaviour of the whole year."


def report_page(report: Report, *, before: datetime | None = None, synthetic: bool = False) -> str:
    """The page; `before` is the date from which customers moved, `synthetic` says that personas are made up."""
    parts = [_period(report.table), "<h2>All segments</h2>", _overview(report)]
    if report.empty:
        parts.append(f"<p>Nobody is in {escape(', '.join(report.empty))}.</p>")
    if synthetic:
        parts.append(f'<p class="quiet">{_SYNTHETIC}</p>')
    for portrait in report.portraits:
        parts += _of_segment(report.table, portrait)
    if report.moved is not None and before is not None:
        parts += _moved(report, before)
    return page("Segments", parts)


def _period(features: FeatureTable) -> str:
    since = "the first order" if features.days is None else f"{features.since:%Y-%m-%d}"
    return (
        f'<p class="quiet">{len(features.customers):,} customers known before {features.until:%Y-%m-%d}; '
        f"orders from {since} on.</p>"
    )


def _overview(report: Report) -> str:
    rows = [
        (
            report.labels[each.segment.key],
            f"{each.size:,}",
            f"{each.share:.1%}",
            f"{each.sales_share:.1%}",
            f"{each.value:,.2f}",
            f"{each.orders:.1f}",
            next(iter(each.personas), ""),
        )
        for each in report.portraits
    ]
    head = ["segment", "customers", "of all", "of sales", "value a customer", "orders a customer", "most are"]
    sizes = {
        report.labels[each.segment.key]: {
            effect.feature.key: effect.size for effect in each.effects if effect.word is None
        }
        for each in report.portraits
    }
    keys = list(dict.fromkeys(key for each in sizes.values() for key in each))
    heat = heat_table(
        ["segment", *map(short_label, keys)], {name: [of.get(key) for key in keys] for name, of in sizes.items()}
    )
    caption = "<figcaption>Effect sizes: over 0 more than everyone else, under 0 less; from 0.8 on large.</figcaption>"
    return f"{table(head, rows)}<figure>{heat}{caption}</figure>"


def _of_segment(features: FeatureTable, portrait: Portrait) -> Iterator[str]:
    segment = portrait.segment
    yield f"<h2>{escape(segment.name)}</h2>"
    size = f"{portrait.size:,} customers, {portrait.sales_share:.1%} of sales"
    yield f'<p class="quiet">{escape(segment.key)} · {size}</p>'
    if segment.description:
        yield f"<p>{escape(segment.description)}</p>"
    if portrait.few:
        yield "<p><strong>Too few to go by: what is said of them may be chance.</strong></p>"
    told = "".join(
        f"<li>{escape(each.feature.sentence.rstrip('.'))}: {escape(each.words)}</li>" for each in portrait.effects[:5]
    )
    yield f"<ul>{told}</ul>"
    yield grid(list(_charts(portrait)))
    yield "<h3>Typical customers</h3>"
    yield _typical(features, portrait)


def _charts(portrait: Portrait) -> Iterator[str]:
    sizes = {short_label(each.feature.key): each.size for each in portrait.effects[:_EFFECTS]}
    if sizes:
        yield _figure("What sets it apart", bar_chart(sizes, "effect size"))
    if portrait.categories:
        named = {short_label(key): index for key, index in portrait.categories.items()}
        yield _figure("Categories", bar_chart(named, "index: 1 is as everyone buys", middle=1.0))
    if portrait.personas:
        yield _figure("Personas", bar_chart(dict(portrait.personas), "share"))
    if portrait.components:
        yield _figure("Components used", bar_chart(dict(portrait.components), "times a customer"))


def _typical(features: FeatureTable, portrait: Portrait) -> str:
    keys = [each.key for each in features.features if not each.key.startswith(("share.", "uses."))]
    rows = [(each, *(_cell(features.row(each)[key]) for key in keys)) for each in portrait.typical]
    return table(["customer", *keys], rows)


def _moved(report: Report, before: datetime) -> Iterator[str]:
    moved = report.moved
    if moved is None or not moved.counts:
        return
    names = report.labels
    yield "<h2>How customers moved</h2>"
    yield f"<p>{moved.stayed:.1%} of those in a segment on {before:%Y-%m-%d} are in it still.</p>"
    flows = [Flow(names.get(a, a), names.get(b, b), count) for (a, b), count in sorted(moved.counts.items())]
    yield f"<figure>{flow_chart(flows, f'{before:%Y-%m-%d}', f'{report.table.until:%Y-%m-%d}')}</figure>"
    head = ["from / to", *(names.get(each, each) for each in moved.columns)]
    rows = {names.get(row, row): [moved.share(row, each) for each in moved.columns] for row in moved.rows}
    caption = "<figcaption>Shares of each row; the last row are customers who were not there before.</figcaption>"
    yield f"<figure>{heat_table(head, rows, '{:.0%}')}{caption}</figure>"


def _figure(title: str, chart: str) -> str:
    return f"<figure><h3>{escape(title)}</h3>{chart}</figure>"


def _cell(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:,.4g}"
