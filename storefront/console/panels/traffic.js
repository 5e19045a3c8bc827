// Requests, latency and the cache, from the metrics of all workers together.
import { Bars } from "../bars.js";
import { TimeChart } from "../charts.js";
import { h } from "../dom.js";
import { bytes, duration, number, share } from "../format.js";
import { growth, quantile, sum } from "../samples.js";
import { section } from "./section.js";

const KEPT = "The gateway keeps half an hour of it.";
const LATELY = 300;

export class Traffic {
  constructor(origin) {
    this.origin = origin;
    this.requests = new TimeChart({ title: "Requests a second", note: `By route, without this console and probes. ${KEPT}`, stacked: true, label: (name) => name });
    this.latency = new TimeChart({ title: "Latency of /graphql", note: "To the last byte. Quantiles within buckets are estimated by a straight line.", format: duration, label: (name) => name });
    this.failures = new TimeChart({ title: "Answers that are errors", note: "By status, a second.", stacked: true, label: (name) => name });
    this.cache = new Bars({ title: "Cache by field", note: "What became of look-ups in the last five minutes.", shares: true });
    this.part = section("traffic", "Requests and cache", "What is asked of the gateway and how fast it answers.", this.requests, this.latency, this.cache, this.failures);
    this.element = this.part.element;
  }

  draw(samples, seconds) {
    const newest = samples.newest;
    if (!newest?.requests) {
      for (const chart of [this.requests, this.latency, this.failures, this.cache]) chart.empty(h("p", {}, "Nobody has asked anything since the gateway started."));
      return;
    }
    this.#requests(samples, seconds);
    this.#latency(samples, seconds);
    this.#cache(samples.before(LATELY), newest);
  }

  #requests(samples, seconds) {
    const perSecond = samples.series(seconds, (before, after, dt) => {
      const grown = growth(before, after, "requests", (key) => key.split("|")[0]);
      return Object.fromEntries(Object.entries(grown).map(([route, count]) => [route, count / dt]));
    });
    const routes = [...new Set(perSecond.values.flatMap((each) => Object.keys(each ?? {})))].sort();
    const values = Object.fromEntries(routes.map((route) => [route, perSecond.values.map((each) => (each ? each[route] ?? 0 : null))]));
    const rate = sum(perSecond.values.findLast((each) => each) ?? {});
    const busy = Object.fromEntries(Object.entries(values).filter(([, line]) => line.some((each) => each > 0)));
    this.requests.draw({ ...perSecond, values: Object.keys(busy).length ? busy : values, sentence: `${number(rate)} a second now` });
    this.#failures(samples, seconds);
  }

  #failures(samples, seconds) {
    const found = samples.series(seconds, (before, after, dt) => {
      const grown = growth(before, after, "requests", (key) => (/\|[45]/.test(key) ? key.split("|")[1] : null));
      return Object.fromEntries(Object.entries(grown).map(([status, count]) => [status, count / dt]));
    });
    const totals = {};
    for (const each of found.values) for (const [status, rate] of Object.entries(each ?? {})) totals[status] = (totals[status] ?? 0) + rate * found.step;
    const seen = Object.keys(totals).filter((status) => totals[status] > 0).sort();
    if (!seen.length) return this.failures.empty(h("p", { class: "good" }, "No request was refused and none failed."));
    const values = Object.fromEntries(seen.map((status) => [status, found.values.map((each) => (each ? each[status] ?? 0 : null))]));
    return this.failures.draw({ ...found, values, sentence: seen.map((status) => `${status}: ${number(Math.round(totals[status]))}`).join(" · ") });
  }

  #latency(samples, seconds) {
    const quantiles = { p50: 0.5, p95: 0.95, p99: 0.99 };
    const lines = Object.entries(quantiles).map(([name, q]) => [name, samples.series(seconds, (before, after) => quantile(before, after, "/graphql", q))]);
    if (lines.every(([, line]) => line.values.every((each) => each === null))) return this.latency.empty(h("p", {}, "No operation was answered in this time."));
    return this.latency.draw({ ...lines[0][1], values: Object.fromEntries(lines.map(([name, line]) => [name, line.values])) });
  }

  #cache(before, after) {
    const rows = {};
    for (const [key, count] of Object.entries(growth(before, after, "cache"))) {
      const [field, result] = key.split("|");
      if (count > 0) (rows[field] ??= {})[result] = count;
    }
    const held = sum(after.cache_bytes ?? {});
    const ordered = Object.entries(rows).sort((a, b) => sum(b[1]) - sum(a[1]));
    if (!ordered.length) return this.cache.empty(h("p", {}, after.cache ? "Nothing was looked for in the cache within five minutes." : "Nothing was ever looked for in the cache."));
    const served = hitShare(before, after);
    return this.cache.draw({
      rows: ordered.map(([name, parts]) => ({ name, parts, hint: `${share(((parts.hit ?? 0) + (parts.stale ?? 0)) / sum(parts))} of ${number(sum(parts))}` })),
      sentence: `${share(served)} served from the cache, ${bytes(held)} kept`,
    });
  }
}

/** The share of look-ups between two samples that were answered by the cache; null without any. */
export function hitShare(before, after) {
  const results = growth(before, after, "cache", (key) => key.split("|")[1]);
  const asked = sum(results) - (results.bypass ?? 0);
  return asked > 0 ? ((results.hit ?? 0) + (results.stale ?? 0)) / asked : null;
}
