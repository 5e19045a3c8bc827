"""Charts as inline SVG, and pages that hold everything they show: no script, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Point = tuple[float, float]

_COLOURS = ("#1f77b4", "#7f7f7f", "#d68910", "#1e8449", "#8e44ad", "#c0392b")
_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 28, 44
_ROW = 26
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "td,th{padding:.25rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}"
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


def line_chart(lines: Mapping[str, Sequence[Point]], x_title: str, y_title: str, marks: Mapping[str, float]) -> str:
    """Lines over one pair of axes, y from 0; `marks` are upright dashed lines at an x, by name. There is some point."""
    points = [point for line in lines.values() for point in line]
    right, top = max(x for x, _ in points), max(y for _, y in points)
    ticks = _ticks(0.0, top)
    axes = _Axes(0.0, right, 0.0, max(top, ticks[-1]), _HEIGHT)
    parts = [
        *(_horizontal(axes, each) for each in ticks),
        *(_text(axes.x(each), _HEIGHT - _BOTTOM + 16, f"{each:,.0f}", "middle") for each in _ticks(0.0, right)),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_title, "middle"),
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
            _text(_WIDTH - _RIGHT - 4, _HEIGHT - _BOTTOM - 8 - 16 * (len(lines) - 1 - place), name, "end", colour)
        )
    return _svg(parts, _HEIGHT)


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
    return f"<table><tr>{titles}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def page(title: str, parts: Sequence[str]) -> str:
    """A whole HTML page of parts that are HTML already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
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

    def x(self, value: float) -> float:
        span = (self.x_high - self.x_low) or 1.0
        return self.left + (value - self.x_low) / span * (_WIDTH - self.left - _RIGHT)

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
    line = f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e5e5"/>'
    return line + _text(_LEFT - 6, y + 4, f"{value:.3g}", "end")


def _upright(axes: _Axes, value: float, colour: str, top: float, bottom: float) -> str:
    x = axes.x(value)
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="{colour}" stroke-dasharray="4 3"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _svg(parts: Sequence[str], height: float) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{"".join(parts)}</svg>'
