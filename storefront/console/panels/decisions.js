// Decisions and rewards over time, by persona, by what was chosen, and by who decided.
import { ask } from "../api.js";
import { TimeChart } from "../charts.js";
import { h } from "../dom.js";
import { clock, number, share, words } from "../format.js";
import { howToBegin, section } from "./section.js";

const GROUPS = { model: "model", even: "even chances", holdback: "default (held back)", default: "default" };
const SMOOTHED = 5;

export class Decisions {
  constructor(window) {
    const waits = `A decision is counted once it is joined, ${number(window)} s after it was made, or what its flag says.`;
    this.personas = new TimeChart({ title: "Decisions by persona", note: waits, stacked: true });
    this.rewards = new TimeChart({ title: "Mean reward by persona", note: `Of what was displayed; 3 for a basket, 1 for a detail. Each point is the mean of ${SMOOTHED} steps.`, format: (value) => (value ?? 0).toFixed(2) });
    this.actions = new TimeChart({ title: "What was chosen", note: "Shares of the actions. A bandit that learns moves them.", stacked: true, shares: true, format: number, label: (name) => name });
    this.groups = new TimeChart({ title: "Mean reward by who decided", note: "What deciding is worth: the model beside those who always get the default.", format: (value) => (value ?? 0).toFixed(2), label: (name) => GROUPS[name] ?? name });
    this.part = section("decisions", "Decisions and rewards", "What bandits chose, and what came of it.", this.personas, this.rewards, this.actions, this.groups);
    this.element = this.part.element;
  }

  async refresh({ range, persona, placement }) {
    const found = await ask("rewards", { range, persona, placement });
    const any = Object.keys(found.personas).length > 0;
    for (const chart of [this.personas, this.rewards, this.actions, this.groups]) {
      chart.element.dataset.from = found.from;
      if (!any) chart.empty(...this.#nothing(found));
    }
    if (any) this.#draw(found);
    return found;
  }

  #nothing(found) {
    if (found.from === "hub") return howToBegin();
    return [h("p", {}, "The lake has no joined decisions of this time yet."), h("p", {}, "It is filled about half a minute behind; the last hour is read from the hub.")];
  }

  #draw(found) {
    const base = { begin: found.begin, step: found.bin };
    const cut = found.whole_since > found.begin ? ` Older ones are not all counted: the whole begins at ${clock(found.whole_since)}.` : "";
    const total = (member) => Object.fromEntries(Object.entries(found[member]).map(([name, line]) => [name, line.decisions.reduce((sum, each) => sum + each, 0)]));
    const counted = total("personas");
    const all = Object.values(counted).reduce((sum, each) => sum + each, 0);
    const shares = (counts) => mapped(counts, (count) => share(count / all));
    this.personas.draw({ ...base, values: mapped(found.personas, (line) => line.decisions), keyed: mapped(counted, number), sentence: `${number(all)} decisions.${cut}` });
    this.rewards.draw({ ...base, values: mapped(found.personas, smoothed), keyed: mapped(found.personas, mean) });
    this.actions.draw({ ...base, values: mapped(found.actions, (line) => line.decisions), keyed: shares(total("actions")) });
    this.groups.draw({ ...base, values: mapped(found.groups, smoothed), keyed: mapped(found.groups, mean) });
  }
}

const mapped = (lines, value) => Object.fromEntries(Object.entries(lines).map(([name, line]) => [name, value(line)]));

function mean(line) {
  const [rewards, displayed] = [line.rewards, line.displayed].map((each) => each.reduce((sum, one) => sum + one, 0));
  return displayed ? `${(rewards / displayed).toFixed(2)} of ${number(displayed)}` : "–";
}

/** The mean reward of each bin and the four before it; null where nothing was displayed in the bin itself. */
export function smoothed(line) {
  return line.displayed.map((displayed, place) => {
    if (!displayed) return null;
    const from = Math.max(0, place - SMOOTHED + 1);
    const sum = (values) => values.slice(from, place + 1).reduce((total, each) => total + each, 0);
    return sum(line.rewards) / sum(line.displayed);
  });
}
