// Samples of the gateway's metrics, one for each ten seconds of the last half hour, and what lies between them.
const SLOT = 10;
const SLOTS = 180;

export class Samples {
  #slots = new Map();

  /** Take in samples; of each slot the latest is kept. */
  add(samples) {
    for (const sample of samples) {
      const slot = Math.floor(sample.at / 1000 / SLOT);
      if ((this.#slots.get(slot)?.at ?? 0) < sample.at) this.#slots.set(slot, sample);
    }
    const newest = Math.max(...this.#slots.keys());
    for (const slot of this.#slots.keys()) if (slot <= newest - SLOTS) this.#slots.delete(slot);
  }

  get newest() {
    return this.#slots.get(Math.max(...this.#slots.keys())) ?? null;
  }

  /** The last sample that is at least so many seconds older than the newest, or the oldest there is. */
  before(seconds) {
    const all = this.#ordered();
    const until = all.at(-1)?.at - seconds * 1000;
    return all.findLast((each) => each.at <= until) ?? all[0] ?? null;
  }

  /**
   * One value for each slot of the last `seconds`, of the samples on both sides of it; null where there are none within
   * three slots. A slot without a sample of its own has the value of the gap that it lies in.
   */
  series(seconds, between) {
    const last = Math.floor((this.newest?.at ?? Date.now()) / 1000 / SLOT);
    const count = Math.min(Math.floor(seconds / SLOT), SLOTS);
    const begin = last - count + 1;
    const near = (slot, step) => [0, 1, 2].map((away) => this.#slots.get(slot + away * step)).find(Boolean);
    const values = Array.from({ length: count }, (_, place) => {
      const [before, after] = [near(begin + place - 1, -1), near(begin + place, 1)];
      return before && after ? between(before, after, (after.at - before.at) / 1000) : null;
    });
    return { begin: begin * SLOT, step: SLOT, values };
  }

  #ordered() {
    return [...this.#slots.keys()].sort((a, b) => a - b).map((slot) => this.#slots.get(slot));
  }
}

/** How much a counter grew by the labels that `name` makes of its key; a counter that began anew grew by what it is. */
export function growth(before, after, metric, name = (key) => key) {
  const grown = {};
  for (const [key, value] of Object.entries(after?.[metric] ?? {})) {
    const was = before?.[metric]?.[key] ?? 0;
    const label = name(key);
    if (label !== null) grown[label] = (grown[label] ?? 0) + (value >= was ? value - was : value);
  }
  return grown;
}

export const sum = (values) => Object.values(values).reduce((total, each) => total + each, 0);

/** A quantile of what was observed between two samples, within its bucket by a straight line; null without any. */
export function quantile(before, after, route, q) {
  const grown = growth(before, after, "seconds", (key) => {
    const [of, bound] = key.split("|");
    return route === null || of === route ? bound : null;
  });
  const bounds = Object.entries(grown).map(([bound, count]) => [bound === "+Inf" ? Infinity : Number(bound), count]);
  bounds.sort((a, b) => a[0] - b[0]);
  const total = bounds.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  let [floor, below] = [0, 0];
  for (const [bound, count] of bounds) {
    if (count >= q * total) {
      if (bound === Infinity) return floor;
      return floor + (bound - floor) * ((q * total - below) / Math.max(count - below, 1e-9));
    }
    [floor, below] = [bound, count];
  }
  return floor;
}
