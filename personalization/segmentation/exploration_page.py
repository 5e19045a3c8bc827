"""What was explored, as a page of HTML that needs nothing beside it."""

from collections.abc import Iterator
from html import escape

import numpy as np

from personalization.charts import bar_chart, grid, heat_table, histogram, line_chart, page, scatter_chart, table
from personalization.segmentation.clustering import Method, Trial, numbers
from personalization.segmentation.exploration import Exploration
from personalization.segmentation.features import Kind, short_label

_MOST_POINTS = 1_500


def exploration_page(found: Exploration) -> str:
    """The page: trials, the groups of one number of them, features, and how these relate."""
    return page("Segments explored", [*_trials(found), *_groups(found), *_features(found), *_relations(found)])


def _trials(found: Exploration) -> Iterator[str]:
    yield f'<p class="quiet">{len(found.table.customers):,} customers as of {found.table.until:%Y-%m-%d}, on '
    yield f"{len(found.keys)} features.</p><h2>How many groups?</h2>"
    measures = {
        "Silhouette: how much nearer to one's own group than to the next": [each.silhouette for each in found.trials],
        "Stability: adjusted Rand index of groups of other samples": [each.stability for each in found.trials],
        "The smallest group, of all": [each.sizes[-1] for each in found.trials],
    }
    yield grid([_trial_chart(title, found.trials, values) for title, values in measures.items()])
    rows = [
        (each.method.value, str(each.k), f"{each.silhouette:.3f}", f"{each.stability:.3f}", *_ends(each))
        for each in found.trials
    ]
    yield table(["method", "k", "silhouette", "stability", "largest", "smallest"], rows)


def _trial_chart(title: str, trials: tuple[Trial, ...], values: list[float]) -> str:
    lines = {
        method.value: [
            (float(each.k), value) for each, value in zip(trials, values, strict=True) if each.method is method
        ]
        for method in Method
    }
    chart = line_chart(
        {name: line for name, line in lines.items() if line},
        "groups",
        "",
        {},
        width=360,
        x_low=min(float(each.k) for each in trials) - 1.0,
    )
    return f"<figure>{chart}<figcaption>{escape(title)}</figcaption></figure>"


def _ends(trial: Trial) -> tuple[str, str]:
    return f"{trial.sizes[0]:.1%}", f"{trial.sizes[-1]:.1%}"


def _groups(found: Exploration) -> Iterator[str]:
    how = "suggested: the sum of silhouette and stability is greatest there" if found.suggested else "as asked for"
    yield f'<h2>{found.k} groups by k-means</h2><p class="quiet">{how}.</p>'
    groups = range(found.k)
    means = {key: found.matrix[:, place] for place, key in enumerate(found.keys)}
    rows = {
        f"group {group + 1} ({int((found.labels == group).sum()):,})": [
            float(means[key][found.labels == group].mean()) for key in found.keys
        ]
        for group in groups
    }
    yield f"<figure>{heat_table(['group', *map(short_label, found.keys)], rows)}"
    yield "<figcaption>Means in standard deviations from everyone's mean.</figcaption></figure>"
    own = [(f"group {group + 1}", *(_number(found.profile(key, group)) for key in found.keys)) for group in groups]
    yield table(["means in their units", *map(short_label, found.keys)], own)
    yield _plane(found)


def _plane(found: Exploration) -> str:
    step = max(1, len(found.table.customers) // _MOST_POINTS)
    points = {
        f"group {group + 1}": [(float(x), float(y)) for x, y in found.projection.points[found.labels == group][::step]]
        for group in range(found.k)
    }
    first, second = found.projection.explained
    chart = scatter_chart(points, f"first direction, {first:.0%} of variance", f"second, {second:.0%}")
    sides = grid([_direction(title, found, side) for side, title in enumerate(("First", "Second"))])
    caption = "<figcaption>Customers on the plane on which they differ most (principal components).</figcaption>"
    return f"<figure>{chart}{caption}</figure>{sides}"


def _direction(title: str, found: Exploration, side: int) -> str:
    weights = {short_label(key): each[side] for key, each in found.projection.loadings.items()}
    return f"<figure><h3>{title} direction</h3>{bar_chart(weights, 'weight')}</figure>"


def _features(found: Exploration) -> Iterator[str]:
    yield "<h2>Features</h2>"
    rows = [(each.key, each.sentence, each.unit, each.source) for each in found.table.features]
    yield table(["key", "what it is", "unit", "source"], rows)
    charts = []
    for place, column in enumerate(found.scaling.columns):
        values = numbers(found.table, column.key)
        known = values[~np.isnan(values)].tolist()
        how = "logarithm, then scaled" if column.log else "scaled"
        pair = histogram(known, "as it is") + histogram(found.matrix[:, place].tolist(), how)
        charts.append(f"<figure><h3>{escape(short_label(column.key))}</h3>{pair}</figure>")
    yield grid(charts)
    words = [each.key for each in found.table.features if each.kind is Kind.CATEGORICAL]
    yield f'<p class="quiet">Groups are found on numbers only; words ({escape(", ".join(words))}) are told of.</p>'


def _relations(found: Exploration) -> Iterator[str]:
    yield "<h2>How features relate</h2>"
    names = [short_label(key) for key in found.keys]
    rows = {name: [float(each) for each in found.correlation[place]] for place, name in enumerate(names)}
    yield f"<figure>{heat_table(['', *names], rows)}<figcaption>Pearson's correlation.</figcaption></figure>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
