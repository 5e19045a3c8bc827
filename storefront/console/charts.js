// Charts over time, drawn as SVG. Each has its numbers in words and in a table too, and can be read by keyboard.
import { coloursOf } from "./colours.js";
import { freshId, h, replace, s } from "./dom.js";
import { clock, day, exactly, number, words } from "./format.js";

const LEFT = 46;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;

export function ticksOf(top, most = 4) {
  if (!(top > 0)) return [0, 1];
  const rough = top / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => power * factor >= rough);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, place) => place * step);
}

/** A card around something drawn: title, what it says in a sentence, the drawing, the key, and its numbers. */
export class Figure {
  constructor({ title, note = "", wide = false }) {
    const id = freshId("chart");
    this.title = title;
    this.sentence = h("p", { class: "sentence" });
    this.plot = h("div", { class: "plot" });
    this.key = h("ul", { class: "key" });
    this.table = h("table");
    this.details = h("details", { class: "numbers", ontoggle: () => this.fillTable() }, h("summary", {}, "Numbers"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Numbers of ${title}` }, this.table));
    this.element = h(
      "figure",
      { class: wide ? "card wide" : "card", "aria-labelledby": id },
      h("figcaption", {}, h("h3", { id }, title), note && h("p", { class: "note" }, note)),
      this.sentence, this.plot, this.key, this.details,
    );
    this.rows = () => [];
    this.head = [];
  }

  fillTable() {
    if (!this.details.open) return;
    replace(
      this.table,
      h("caption", { class: "unseen" }, this.title),
      h("thead", {}, h("tr", {}, this.head.map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, this.rows().map((row) => h("tr", {}, row.map((cell, place) => h(place ? "td" : "th", place ? {} : { scope: "row" }, cell))))),
    );
  }

  /** Say that there is nothing to draw, and what would bring it. */
  empty(...message) {
    this.element.classList.add("is-empty");
    replace(this.plot, h("div", { class: "nothing" }, ...message));
    replace(this.key);
    this.sentence.textContent = "";
    this.details.hidden = true;
  }

  full() {
    this.element.classList.remove("is-empty");
    this.details.hidden = false;
  }

  /** The key: each name with its colour and, where `values` has one, its number. */
  drawKey(names, colours, label = words, values = {}) {
    replace(this.key, names.map((name) => h("li", {}, h("span", { class: "swatch", colour: colours[name] }), label(name), values[name] !== undefined && h("b", {}, values[name]))));
  }
}

/**
 * Lines, or areas on each other when `stacked`, over bins of time.
 * `draw` takes the begin of the first bin and the width of one (seconds), and by name one value a bin or null.
 */
export class TimeChart extends Figure {
  #data = null;
  #at = null;
  #width = 0;

  constructor({ title, note, wide, stacked = false, shares = false, format = number, label = words, height = 190, most = null }) {
    super({ title, note, wide });
    Object.assign(this, { stacked, shares, format, label, height, most });
    this.svg = s("svg", { class: "chart", "aria-hidden": "true" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.spoken = h("span", { class: "unseen", "aria-live": "polite" });
    this.stage = h(
      "div",
      {
        class: "stage", tabindex: "0", role: "group", "aria-label": `${title}: left and right arrow keys read the values`,
        onpointermove: (event) => this.#point(event), onpointerleave: () => this.#look(null), onblur: () => this.#look(null),
        onkeydown: (event) => this.#move(event),
      },
      this.svg, this.tip, this.spoken,
    );
    new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width && width !== this.#width) {
        this.#width = width;
        this.#redraw();
      }
    }).observe(this.plot);
  }

  draw(data) {
    this.full();
    if (this.stage.parentNode !== this.plot) replace(this.plot, this.stage);
    const names = Object.keys(data.values).filter((name) => data.values[name].some((each) => each !== null));
    this.#data = { ...data, names, colours: coloursOf(names) };
    this.drawKey(names, this.#data.colours, this.label, data.keyed ?? this.#lastValues());
    this.head = ["time", ...names.map(this.label)];
    this.rows = () => {
      const { begin, step, values } = this.#data;
      const bins = values[names[0]]?.length ?? 0;
      return Array.from({ length: bins }, (_, place) => bins - 1 - place)
        .filter((place) => names.some((name) => values[name][place] !== null))
        .map((place) => [this.#when(begin + place * step), ...names.map((name) => this.#shown(name, place))]);
    };
    this.fillTable();
    this.sentence.textContent = data.sentence ?? "";
    this.#redraw();
  }

  empty(...message) {
    this.#data = null;
    super.empty(...message);
  }

  #lastValues() {
    const { names, values } = this.#data;
    return Object.fromEntries(names.map((name) => [name, this.format(values[name].findLast((each) => each !== null))]));
  }

  #when(seconds) {
    const { step } = this.#data;
    if (step >= 3600) return `${day(seconds)} ${clock(seconds)}`;
    return step < 60 ? exactly(seconds) : clock(seconds);
  }

  #shown(name, place) {
    const value = this.#data.values[name][place];
    return value === null ? "–" : this.format(value);
  }

  #bins() {
    return this.#data.values[this.#data.names[0]]?.length ?? 0;
  }

  #x(place) {
    return LEFT + (place / Math.max(this.#bins() - 1, 1)) * (this.#width - LEFT - RIGHT);
  }

  #y(value, top) {
    return this.height - BOTTOM - (value / top) * (this.height - TOP - BOTTOM);
  }

  #redraw() {
    if (!this.#data || !this.#width) return;
    const { names, values, colours } = this.#data;
    const layers = this.stacked ? this.#stack() : names.map((name) => ({ name, upper: values[name], lower: null }));
    const largest = Math.max(0, ...layers.flatMap((layer) => layer.upper.map((each) => each ?? 0)));
    const ticks = this.shares ? [0, 0.25, 0.5, 0.75, 1] : ticksOf(Math.max(largest, this.most ?? 0));
    const top = ticks.at(-1);
    this.svg.setAttribute("viewBox", `0 0 ${this.#width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    replace(
      this.svg,
      ticks.map((each) => this.#grid(each, top)),
      this.#times(),
      layers.map((layer) => this.#layer(layer, top, colours[layer.name])),
      this.#cursor(layers, top),
    );
    this.#tell();
  }

  #stack() {
    const { names, values } = this.#data;
    const under = new Array(this.#bins()).fill(0);
    const totals = under.map((_, place) => names.reduce((total, name) => total + (values[name][place] ?? 0), 0));
    return names.map((name) => {
      const lower = [...under];
      values[name].forEach((each, place) => {
        under[place] += this.shares ? (totals[place] ? (each ?? 0) / totals[place] : 0) : (each ?? 0);
      });
      return { name, lower, upper: [...under] };
    });
  }

  #grid(value, top) {
    const y = this.#y(value, top).toFixed(1);
    return s("g", {},
      s("line", { class: value ? "grid" : "grid base", x1: LEFT, x2: this.#width - RIGHT, y1: y, y2: y }),
      s("text", { class: "tick", x: LEFT - 7, y: Number(y) + 4, "text-anchor": "end" }, this.shares ? `${value * 100} %` : this.format(value)));
  }

  #times() {
    const { begin, step } = this.#data;
    const bins = this.#bins();
    const shown = Math.max(2, Math.floor((this.#width - LEFT - RIGHT) / 90));
    const every = Math.max(1, Math.ceil(bins / shown));
    return Array.from({ length: bins }, (_, place) => place)
      .filter((place) => (bins - 1 - place) % every === 0 && this.#x(place) > LEFT + 14)
      .map((place) => s("text", { class: "tick", x: this.#x(place).toFixed(1), y: this.height - 5, "text-anchor": place === bins - 1 ? "end" : "middle" },
        step >= 3600 ? day(begin + place * step) : clock(begin + place * step)));
  }

  #layer({ name, lower, upper }, top, colour) {
    const points = upper.map((value, place) => (value === null ? null : [this.#x(place), this.#y(value, top)]));
    if (lower) {
      const back = lower.map((value, place) => [this.#x(place), this.#y(value, top)]).reverse();
      return s("path", { class: "area", "data-series": name, d: `M${[...points, ...back].map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}Z`, colour });
    }
    const [runs, lone] = runsOf(points);
    return s("g", { colour, "data-series": name },
      s("path", { class: "line", d: runs.map((run) => `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`).join("") }),
      lone.map(([x, y]) => s("circle", { class: "dot", cx: x.toFixed(1), cy: y.toFixed(1), r: 2.2 })));
  }

  #cursor(layers, top) {
    const place = this.#at;
    if (place === null || place >= this.#bins()) return null;
    const x = this.#x(place).toFixed(1);
    const dots = layers.filter((layer) => layer.upper[place] !== null && (!this.stacked || layer.upper[place] !== layer.lower[place]));
    return s("g", {},
      s("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }),
      dots.map((layer) => s("circle", { class: "dot", colour: this.#data.colours[layer.name], cx: x, cy: this.#y(layer.upper[place], top).toFixed(1), r: 3.5 })));
  }

  #tell() {
    const place = this.#at;
    this.tip.hidden = place === null || place >= this.#bins();
    if (this.tip.hidden) return;
    const { begin, step, names, colours } = this.#data;
    const rows = [...names].reverse().map((name) => h("li", {}, h("span", { class: "swatch", colour: colours[name] }), this.label(name), h("b", {}, this.#shown(name, place))));
    replace(this.tip, h("time", {}, this.#when(begin + place * step)), h("ul", {}, rows));
    const right = this.#x(place) > this.#width / 2;
    this.tip.style.left = right ? "auto" : `${this.#x(place) + 12}px`;
    this.tip.style.right = right ? `${this.#width - this.#x(place) + 12}px` : "auto";
  }

  #look(place) {
    this.#at = place;
    this.#redraw();
  }

  #point(event) {
    if (!this.#data) return;
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const place = Math.round(((x - LEFT) / (this.#width - LEFT - RIGHT)) * (this.#bins() - 1));
    this.#look(Math.min(Math.max(place, 0), this.#bins() - 1));
  }

  #move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === "Escape") return this.#look(null);
    if (step === undefined || !this.#data) return undefined;
    event.preventDefault();
    const last = this.#bins() - 1;
    this.#look(Math.min(Math.max((this.#at ?? last + (step < 0 ? 1 : 0)) + step, 0), last));
    const { begin, step: width, names } = this.#data;
    this.spoken.textContent = `${this.#when(begin + this.#at * width)}: ${names.map((name) => `${this.label(name)} ${this.#shown(name, this.#at)}`).join(", ")}`;
    return undefined;
  }
}

function runsOf(points) {
  const runs = [];
  let run = [];
  for (const point of [...points, null]) {
    if (point) run.push(point);
    else if (run.length) {
      runs.push(run);
      run = [];
    }
  }
  return [runs.filter((each) => each.length > 1), runs.filter((each) => each.length === 1).map((each) => each[0])];
}

/** A small line without axes, for the eye only. */
export function sparkline(values, width = 120, height = 28) {
  const known = values.filter((each) => each !== null);
  const top = Math.max(...known, 1e-9);
  const points = values.map((value, place) => (value === null ? null : [(place / Math.max(values.length - 1, 1)) * width, height - 2 - (value / top) * (height - 4)]));
  const [runs] = runsOf(points);
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    runs.map((run) => s("path", { d: `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` })));
}
