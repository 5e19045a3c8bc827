// Bars, intervals and steps: what is compared side by side rather than over time.
import { Figure, ticksOf } from "./charts.js";
import { coloursOf } from "./colours.js";
import { h, replace, s } from "./dom.js";
import { clock, dated, exactly, number, words } from "./format.js";

/** A figure that draws anew when its width changes: `paint` gives children for a width and says how high that is. */
class Drawn extends Figure {
  #width = 0;

  constructor(options) {
    super(options);
    this.svg = s("svg", { class: "chart", role: "img", "aria-label": options.title });
    new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width && width !== this.#width) {
        this.#width = width;
        this.redraw();
      }
    }).observe(this.plot);
  }

  show() {
    this.full();
    if (this.svg.parentNode !== this.plot) replace(this.plot, this.svg);
    this.fillTable();
    this.redraw();
  }

  redraw() {
    if (!this.#width || this.svg.parentNode !== this.plot) return;
    const { height, children } = this.paint(this.#width);
    this.svg.setAttribute("viewBox", `0 0 ${this.#width} ${height}`);
    this.svg.setAttribute("height", height);
    replace(this.svg, children);
  }
}

/**
 * A bar a row, in parts. `draw` takes `rows` of `{name, hint, parts: {part: amount}}`; with `shares` each bar is as long
 * as the others and its parts are shares of it.
 */
export class Bars extends Drawn {
  #rows = [];

  constructor({ shares = false, totals = true, format = number, label = words, rowLabel = (name) => name, most = 30, ...options }) {
    super(options);
    Object.assign(this, { shares, totals, format, label, rowLabel, most });
  }

  draw({ rows, sentence }) {
    this.#rows = rows.slice(0, this.most);
    const parts = [...new Set(rows.flatMap((row) => Object.keys(row.parts)))].filter((part) => rows.some((row) => row.parts[part] > 0));
    this.parts = parts;
    this.colours = coloursOf(parts);
    const keyed = Object.fromEntries(parts.map((part) => [part, this.format(rows.reduce((total, row) => total + (row.parts[part] ?? 0), 0))]));
    if (parts.length > 1 || this.shares) this.drawKey(parts, this.colours, this.label, this.totals ? keyed : {});
    else replace(this.key);
    this.head = ["", ...parts.map(this.label)];
    this.rows = () => rows.map((row) => [this.rowLabel(row.name), ...parts.map((part) => this.format(row.parts[part] ?? 0))]);
    this.sentence.textContent = sentence ?? "";
    this.show();
  }

  paint(width) {
    const step = 36;
    const totals = this.#rows.map((row) => this.parts.reduce((total, part) => total + (row.parts[part] ?? 0), 0));
    const largest = Math.max(...totals, 1e-9);
    const children = this.#rows.map((row, place) => {
      const top = place * step;
      const scale = (this.shares ? 1 / Math.max(totals[place], 1e-9) : 1 / largest) * width;
      let x = 0;
      const pieces = this.parts.filter((part) => row.parts[part] > 0).map((part) => {
        const wide = row.parts[part] * scale;
        const piece = s("rect", { class: "piece", "data-part": part, colour: this.colours[part], x: x.toFixed(1), y: top + 20, width: Math.max(wide - 1, 0.5).toFixed(1), height: 9, rx: 2 },
          s("title", {}, `${this.label(part)}: ${this.format(row.parts[part])}`));
        x += wide;
        return piece;
      });
      return s("g", { "data-row": row.name },
        s("rect", { class: "track", x: 0, y: top + 20, width, height: 9, rx: 2 }), pieces,
        s("text", { class: "row", x: 0, y: top + 14 }, this.rowLabel(row.name)),
        s("text", { class: "tick", x: width, y: top + 14, "text-anchor": "end" }, row.hint ?? this.format(totals[place])));
    });
    return { height: this.#rows.length * step, children };
  }
}

/** Intervals with their middles on one scale; `mark` is an upright line. `draw` takes `{name, low, value, high, strong}`. */
export class Intervals extends Drawn {
  draw({ bars, mark = null, sentence = "" }) {
    Object.assign(this, { bars, mark });
    this.head = ["", "low", "estimate", "high"];
    this.rows = () => bars.map((bar) => [bar.name, ...[bar.low, bar.value, bar.high].map((each) => each.toFixed(4))]);
    this.sentence.textContent = sentence;
    this.show();
  }

  paint(width) {
    const values = [...this.bars.flatMap((bar) => [bar.low, bar.high]), ...(this.mark === null ? [] : [this.mark])];
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const pad = (most - least || 1) * 0.06;
    const x = (value) => ((value - least + pad) / (most - least + 2 * pad)) * width;
    const step = 40;
    const children = [
      this.mark !== null && s("line", { class: "mark", x1: x(this.mark), x2: x(this.mark), y1: 0, y2: this.bars.length * step }),
      this.bars.map((bar, place) => {
        const y = place * step + 26;
        return s("g", { colour: bar.strong ? "var(--series-1)" : "var(--series-7)" },
          s("text", { class: "row", x: 0, y: place * step + 13 }, bar.name),
          s("text", { class: "tick", x: width, y: place * step + 13, "text-anchor": "end" }, bar.value.toFixed(3)),
          s("line", { class: "span", x1: x(bar.low), x2: x(bar.high), y1: y, y2: y }),
          s("circle", { class: "dot", cx: x(bar.value), cy: y, r: 4.5 }));
      }),
    ];
    return { height: this.bars.length * step, children };
  }
}

/** Which version was live when: steps over time, changes by hand marked. `draw` takes `{at, value, marked, title}` (ms). */
export class Steps extends Drawn {
  draw({ steps, until, sentence = "" }) {
    Object.assign(this, { steps, until });
    this.head = ["from", "version", "how"];
    this.rows = () => [...steps].reverse().map((each) => [dated(each.at), number(each.value), each.title]);
    this.sentence.textContent = sentence;
    this.show();
  }

  paint(width) {
    const [left, bottom, height] = [46, 22, 170];
    const begin = this.steps[0].at;
    const values = this.steps.map((each) => each.value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const x = (at) => left + ((at - begin) / Math.max(this.until - begin, 1)) * (width - left - 10);
    const y = (value) => height - bottom - ((value - least) / Math.max(most - least, 1)) * (height - bottom - 14);
    const path = this.steps.map((each, place) => `${place ? "H" : "M"}${x(each.at).toFixed(1)}${place ? `V${y(each.value).toFixed(1)}` : ` ${y(each.value).toFixed(1)}`}`).join("");
    const ticks = [...new Set(ticksOf(most - least, 3).map((each) => Math.round(least + each)))].filter((each) => each <= most);
    const shown = Math.max(2, Math.floor(width / 120));
    const times = Array.from({ length: shown }, (_, place) => begin + ((this.until - begin) * (place + 1)) / shown);
    const children = [
      ticks.map((each) => s("g", {}, s("line", { class: "grid", x1: left, x2: width - 10, y1: y(each), y2: y(each) }), s("text", { class: "tick", x: left - 7, y: y(each) + 4, "text-anchor": "end" }, `@${each}`))),
      times.map((at, place) => s("text", { class: "tick", x: x(at), y: height - 5, "text-anchor": place === times.length - 1 ? "end" : "middle" }, (this.until - begin < 600_000 ? exactly : clock)(at / 1000))),
      s("path", { class: "line", colour: "var(--series-1)", d: `${path}H${x(this.until).toFixed(1)}` }),
      this.steps.filter((each) => each.marked).map((each) => s("circle", { class: "dot ring", colour: "var(--series-5)", cx: x(each.at), cy: y(each.value), r: 5 }, s("title", {}, each.title))),
      s("circle", { class: "dot", colour: "var(--series-1)", cx: x(this.until), cy: y(this.steps.at(-1).value), r: 4 }),
    ];
    return { height, children };
  }
}

/** How far each row is from what is usual, by feature: the stronger a cell's colour, the further it is. */
export class Profile extends Drawn {
  draw({ features, rows, label = words, sentence = "" }) {
    Object.assign(this, { features, profiles: rows, label });
    this.drawKey(["more", "less"], { more: "var(--series-1)", less: "var(--series-2)" }, (name) => `${name} than the average customer`);
    this.head = ["feature", ...rows.map((row) => row.name)];
    this.rows = () => features.map((feature, place) => [label(feature), ...rows.map((row) => row.centre[place].toFixed(2))]);
    this.sentence.textContent = sentence;
    this.show();
  }

  paint(width) {
    const [names, line, head] = [Math.min(190, width * 0.34), 24, 24];
    const each = (width - names) / Math.max(1, this.profiles.length);
    const children = [
      this.profiles.map((row, column) => s("text", { class: "row", x: names + (column + 0.5) * each, y: 14, "text-anchor": "middle" },
        row.name.length * 6.6 < each ? row.name : String(column + 1), s("title", {}, row.name))),
      this.features.map((feature, place) => s("g", {},
        s("text", { class: "tick", x: 0, y: head + place * line + 15 }, this.label(feature)),
        this.profiles.map((row, column) => this.#cell(row, place, names + column * each, head + place * line, each, line)))),
    ];
    return { height: head + this.features.length * line, children };
  }

  #cell(row, place, x, y, width, height) {
    const value = row.centre[place];
    const colour = value < 0 ? "var(--series-2)" : "var(--series-1)";
    return [
      s("rect", { class: "cell", colour, "fill-opacity": (Math.min(Math.abs(value) / 2, 1) * 0.5 + 0.02).toFixed(3), x: (x + 1).toFixed(1), y: y + 1, width: Math.max(width - 2, 1).toFixed(1), height: height - 2, rx: 3 },
        s("title", {}, `${row.name}, ${this.label(this.features[place])}: ${value.toFixed(2)}`)),
      width > 38 && s("text", { class: "in-cell", x: (x + width / 2).toFixed(1), y: y + 16, "text-anchor": "middle" }, (Math.round(value * 10) / 10 || 0).toFixed(1)),
    ];
  }
}

/** A headline number with what it was lately. */
export function tile(title, value, hint, spark, state = "") {
  return h("article", { class: `tile ${state}` }, h("h2", {}, title), h("p", { class: "value" }, value), h("p", { class: "hint" }, hint), spark);
}

