"""Charts as inline SVG, and pages that hold everything they show: no script, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Point = tuple[float, float]

_COLOURS = ("#1f77b4", "#7f7f7f", "#d68910", "#1e8449", "#8e44ad", "#c0392b")
_WARM = "#c0392b"
_MANY = (
    *("#1f77b4", "#d68910", "#1e8449", "#8e44ad", "#c0392b", "#7f7f7f"),
    *("#17becf", "#bcbd22", "#e377c2", "#8c564b", "#4b6cb7", "#2c3e50"),
)
_NAME = 22
_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 28, 44
_ROW = 26
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "td,th{padding:.25rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}"
    ".wide{overflow-x:auto}.heat td{padding:.25rem .45rem;border:1px solid #fff}"
    ".heat th{vertical-align:bottom}.heat td:first-child{position:sticky;left:0;background:#fff}"
    ".grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:0 1.5rem}"
    ".grid figure{margin:.75rem 0}.grid h3{margin:.5rem 0 0}h2{margin-top:2.2rem}.quiet{color:#555}"
    "svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif}"
    "figure{margin:1.5rem 0}figcaption{color:#555}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval with its middle, on a line of its own."""

    name: str
    low: float
    value: float
    high: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes from a place on the left to one on the right, by their names; `value` is over 0."""

    source: str
    target: str
    value: float


def line_chart(
    lines: Mapping[str, Sequence[Point]],
    x_title: str,
    y_title: str,
    marks: Mapping[str, float],
    *,
    width: int = _WIDTH,
    x_low: float = 0.0,
) -> str:
    """Lines over one pair of axes, y from 0, or from below where it is; `marks` are dashed lines at an x, by name.

    There is some point. `width` is in CSS pixels; what is shown on a phone as well is best 360 wide.
    """
    points = [point for line in lines.values() for point in line]
    right, top, least = max(x for x, _ in points), max(y for _, y in points), min(0.0, *(y for _, y in points))
    ticks = _ticks(least, top)
    axes = _Axes(x_low, right, min(least, ticks[0]), max(top, ticks[-1]), _HEIGHT, width=width)
    parts = [
        *(_horizontal(axes, each) for each in ticks),
        *(
            _text(axes.x(each), _HEIGHT - _BOTTOM + 16, f"{each:,.0f}", "middle")
            for each in _ticks(x_low, right)
            if x_low <= each <= right and each == round(each)
        ),
        _text((_LEFT + width - _RIGHT) / 2, _HEIGHT - 8, x_title, "middle"),
        _text(8, 12, y_title, "start"),
    ]
    for name, at in marks.items():
        parts.append(_upright(axes, at, "#c0392b", _TOP, _HEIGHT - _BOTTOM))
        parts.append(_text(axes.x(at) + 4, _TOP + 12, name, "start"))
    for place, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            _text(width - _RIGHT - 4, _HEIGHT - _BOTTOM - 8 - 16 * (len(lines) - 1 - place), name, "end", colour)
        )
    return _svg(parts, _HEIGHT, width)


def histogram(values: Sequence[float], title: str, *, width: int = 160, bins: int = 20) -> str:
    """How many values there are in each of so many equal parts of their range; the highest bar has the whole height.

    At least one value, all finite.
    """
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    counts = [0] * bins
    for each in values:
        counts[min(bins - 1, int((each - low) / span * bins))] += 1
    step, tall, top = (width - 8) / bins, 64, 16
    parts = [_text(4, 12, title, "start")]
    for place, count in enumerate(counts):
        height = tall * count / max(counts)
        spot = f'x="{4 + place * step:.1f}" y="{top + tall - height:.1f}" height="{height:.1f}"'
        parts.append(f'<rect {spot} width="{step - 1:.1f}" fill="{_COLOURS[0]}"/>')
    parts.append(f'<line x1="4" x2="{width - 4}" y1="{top + tall}" y2="{top + tall}" stroke="#999"/>')
    parts += [
        _text(4, top + tall + 14, f"{low:,.4g}", "start"),
        _text(width - 4, top + tall + 14, f"{high:,.4g}", "end"),
    ]
    return _svg(parts, top + tall + 20, width)


def scatter_chart(groups: Mapping[str, Sequence[Point]], x_title: str, y_title: str, *, width: int = _WIDTH) -> str:
    """Points by group, each in a colour, with a large one in its middle that bears the name. There is some point."""
    points = [point for group in groups.values() for point in group]
    lows, highs = [min(each) for each in zip(*points, strict=True)], [max(each) for each in zip(*points, strict=True)]
    axes = _Axes(lows[0], highs[0], lows[1], highs[1], _HEIGHT + 80, left=20, width=width)
    parts = [_text((20 + width - _RIGHT) / 2, axes.height - 8, x_title, "middle"), _text(8, 12, y_title, "start")]
    middles = []
    for place, (name, group) in enumerate(groups.items()):
        colour = colour_of(place)
        dots = "".join(f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="2.5"/>' for x, y in group)
        parts.append(f'<g fill="{colour}" fill-opacity=".45">{dots}</g>')
        x, y = (sum(each) / len(group) for each in zip(*group, strict=True))
        middles.append(f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="6" fill="{colour}" stroke="#fff"/>')
        middles.append(_text(axes.x(x), axes.y(y) - 10, name, "middle", "#000", halo=True))
    return _svg(parts + middles, axes.height, width)


def bar_chart(bars: Mapping[str, float], x_title: str, *, middle: float = 0.0, width: int = 360) -> str:
    """Bars from an upright line at `middle`, one below the other, with their value; left of it in another colour."""
    ends = [*bars.values(), middle]
    height = 10 + 24 + 22 * len(bars)
    axes = _Axes(min(ends), max(ends), 0.0, 1.0, height, left=150, right=52, width=width)
    start = axes.x(middle)
    parts = []
    for place, (name, value) in enumerate(bars.items()):
        y, end = 10 + 22 * place, axes.x(value)
        shown = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
        spot = f'x="{min(start, end):.1f}" y="{y}" width="{max(1.0, abs(end - start)):.1f}" height="16"'
        parts.append(_text(142, y + 12, shown, "end"))
        parts.append(f'<rect {spot} fill="{_WARM if value < middle else _COLOURS[0]}"/>')
        parts.append(_text(max(start, end) + 4, y + 12, f"{value:.3g}", "start"))
    parts.append(f'<line x1="{start:.1f}" x2="{start:.1f}" y1="6" y2="{height - 24}" stroke="#666"/>')
    parts.append(_text(width - 8, height - 6, x_title, "end"))
    return _svg(parts, height, width)


def flow_chart(flows: Sequence[Flow], left: str, right: str, *, width: int = 720) -> str:
    """Bands from the places on the left to those on the right, as high as their value; at least one.

    Places stand in the order in which they come first; one of the same name has the same colour on both sides.
    """
    names = list(dict.fromkeys([each.source for each in flows] + [each.target for each in flows]))
    colours = {name: colour_of(place) for place, name in enumerate(names)}
    total, gap = sum(each.value for each in flows), 8.0
    tall = 320.0
    sides = [_stacked([(each.source, each.value) for each in flows], names, tall / total, gap)]
    sides.append(_stacked([(each.target, each.value) for each in flows], names, tall / total, gap))
    start, end = width * 0.25, width * 0.75
    parts = [_text(start, 14, left, "middle"), _text(end, 14, right, "middle")]
    used: dict[tuple[int, str], float] = {}
    for flow in sorted(flows, key=lambda each: (names.index(each.source), names.index(each.target))):
        high = flow.value / total * tall
        tops = []
        for side, name in enumerate((flow.source, flow.target)):
            tops.append(sides[side][name][0] + used.get((side, name), 0.0))
            used[side, name] = used.get((side, name), 0.0) + high
        parts.append(_band(start + 6, tops[0], end - 6, tops[1], high, colours[flow.source]))
    for side, (x, anchor, at) in enumerate(((start, "end", -12.0), (end, "start", 12.0))):
        for name, (top, high) in sides[side].items():
            parts.append(f'<rect x="{x - 6:.1f}" y="{top:.1f}" width="12" height="{high:.1f}" fill="{colours[name]}"/>')
            parts.append(_text(x + at, top + high / 2 + 4, name, anchor))
    return _svg(parts, 24 + tall + gap * len(names), width)


def heat_table(head: Sequence[str], rows: Mapping[str, Sequence[float | None]], texts: str = "{:+.2f}") -> str:
    """Numbers as a table whose cells are blue over 0 and red below it, the deeper the farther; from 1 on all alike."""
    lines = []
    for name, values in rows.items():
        cells = "".join(_heat_cell(each, texts) for each in values)
        lines.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    titles = "".join(f"<th>{escape(each)}</th>" for each in head)
    return f'<div class="wide"><table class="heat"><tr>{titles}</tr>{"".join(lines)}</table></div>'


def colour_of(place: int) -> str:
    """A colour for each place; they come again after a dozen."""
    return _MANY[place % len(_MANY)]


def grid(parts: Sequence[str]) -> str:
    """Parts beside each other where the window is wide enough, as HTML."""
    return f'<div class="grid">{"".join(parts)}</div>'


def interval_chart(bars: Sequence[Bar], x_title: str, mark: float | None = None) -> str:
    """Intervals one below the other; `mark` is an upright line at an x. At least one bar, with finite bounds."""
    bounds = [each for bar in bars for each in (bar.low, bar.high)] + ([] if mark is None else [mark])
    ticks = _ticks(min(bounds), max(bounds))
    height = _TOP + _BOTTOM + _ROW * len(bars)
    axes = _Axes(min(ticks[0], *bounds), max(ticks[-1], *bounds), 0.0, 1.0, height, left=190)
    parts = [_text(axes.x(each), height - _BOTTOM + 16, f"{each:.3g}", "middle") for each in ticks]
    parts += [_upright(axes, each, "#e5e5e5", _TOP, height - _BOTTOM) for each in ticks]
    parts.append(_text((190 + _WIDTH - _RIGHT) / 2, height - 8, x_title, "middle"))
    if mark is not None:
        parts.append(_upright(axes, mark, "#c0392b", _TOP, height - _BOTTOM))
    for place, bar in enumerate(bars):
        y = _TOP + _ROW * (place + 0.5)
        parts.append(_text(182, y + 4, bar.name, "end"))
        ends = f'x1="{axes.x(bar.low):.1f}" x2="{axes.x(bar.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"'
        parts.append(f'<line {ends} stroke="{_COLOURS[0]}" stroke-width="3"/>')
        parts.append(f'<circle cx="{axes.x(bar.value):.1f}" cy="{y:.1f}" r="5" fill="{_COLOURS[0]}"/>')
    return _svg(parts, height)


def figure(svg: str, caption: str) -> str:
    """A chart with its caption, as HTML."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML; all texts are escaped."""
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f'<div class="wide"><table><tr>{titles}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def page(title: str, parts: Sequence[str]) -> str:
    """A whole HTML page of parts that are HTML already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


@dataclass(frozen=True, slots=True)
class _Axes:
    """From values to the picture's points."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    height: float
    left: float = _LEFT
    right: float = _RIGHT
    width: float = _WIDTH

    def x(self, value: float) -> float:
        span = (self.x_high - self.x_low) or 1.0
        return self.left + (value - self.x_low) / span * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        span = (self.y_high - self.y_low) or 1.0
        return self.height - _BOTTOM - (value - self.y_low) / span * (self.height - _TOP - _BOTTOM)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    if high <= low:
        return [low]
    step = 10.0 ** floor(log10((high - low) / 4.0))
    step *= next(factor for factor in (1.0, 2.0, 5.0, 10.0) if (high - low) / (step * factor) <= 6.0)
    return [each * step for each in range(floor(low / step), ceil(high / step) + 1)]


def _horizontal(axes: _Axes, value: float) -> str:
    y = axes.y(value)
    line = f'<line x1="{_LEFT}" x2="{axes.width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e5e5"/>'
    return line + _text(_LEFT - 6, y + 4, f"{value:.3g}", "end")


def _upright(axes: _Axes, value: float, colour: str, top: float, bottom: float) -> str:
    x = axes.x(value)
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="{colour}" stroke-dasharray="4 3"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333", *, halo: bool = False) -> str:
    edge = ' stroke="#fff" stroke-width="3" paint-order="stroke"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{edge}>{escape(text)}</text>'


def _stacked(
    parts: Sequence[tuple[str, float]], names: Sequence[str], scale: float, gap: float
) -> dict[str, tuple[float, float]]:
    """Top and height of each place, one below the other."""
    found, top = {}, 24.0
    for name in names:
        high = sum(value for place, value in parts if place == name) * scale
        if high:
            found[name] = (top, high)
            top += high + gap
    return found


def _band(left: float, top: float, right: float, end: float, high: float, colour: str) -> str:
    middle = (left + right) / 2
    upper = f"M{left:.1f},{top:.1f} C{middle:.1f},{top:.1f} {middle:.1f},{end:.1f} {right:.1f},{end:.1f}"
    lower = f"L{right:.1f},{end + high:.1f} C{middle:.1f},{end + high:.1f} {middle:.1f},{top + high:.1f}"
    return f'<path d="{upper} {lower} {left:.1f},{top + high:.1f} Z" fill="{colour}" fill-opacity=".35"/>'


def _heat_cell(value: float | None, texts: str) -> str:
    if value is None:
        return "<td></td>"
    depth = min(1.0, abs(value)) * 0.7
    colour = "31,119,180" if value >= 0 else "192,57,43"
    return f'<td style="background:rgba({colour},{depth:.2f})">{texts.format(value)}</td>'


def _svg(parts: Sequence[str], height: float, width: float = _WIDTH) -> str:
    size = f'viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{"".join(parts)}</svg>'
