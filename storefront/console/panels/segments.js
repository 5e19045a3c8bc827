// Segments: how they are defined, who is in them, and the closings that made the classifier.
import { ask } from "../api.js";
import { Bars, Profile } from "../bars.js";
import { h, replace } from "../dom.js";
import { dated, number, plural, share, words } from "../format.js";
import { section } from "./section.js";

export class SegmentsPanel {
  constructor() {
    this.sizes = new Bars({ title: "Customers by segment", note: "As the live classifier scored them, or as they were when they were defined.", label: (name) => name });
    this.profile = new Profile({ title: "What sets segments apart", note: "How far the middle of each is from the average customer, in standard deviations.", wide: true });
    this.closings = new Bars({ title: "Closings", note: "Macro-F1 of the classifier that each closing trained.", format: (value) => value.toFixed(3), totals: false, label: (name) => name });
    this.verdicts = h("ul", { class: "verdicts" });
    this.closings.details.before(this.verdicts);
    this.part = section("segments", "Segments and closings", "Groups of customers, and the classifier that says who belongs to which.", this.sizes, this.closings, this.profile);
    this.element = this.part.element;
  }

  async refresh() {
    const found = await ask("segments");
    this.#sizes(found);
    if (found.defined) this.profile.draw({ features: found.defined.features, rows: found.defined.segments, label: told });
    else this.profile.empty(...undefinedYet());
    this.#closings(found.closings);
    if (found.problems.length) throw new Error(found.problems.join("; "));
    return found;
  }

  #sizes({ defined, profiles }) {
    if (!defined && !profiles) return this.sizes.empty(...undefinedYet());
    const names = profiles?.names ?? Object.fromEntries(defined.segments.map((each) => [each.key, each.name]));
    const sizes = profiles?.sizes ?? Object.fromEntries(defined.segments.map((each) => [each.key, each.size]));
    const total = Object.values(sizes).reduce((sum, each) => sum + each, 0);
    return this.sizes.draw({
      rows: Object.entries(sizes).map(([key, size]) => ({ name: names[key] ?? key, parts: { customers: size }, hint: `${number(size)}, ${share(size / total)}` })),
      sentence: profiles ? `${plural(profiles.customers, "customer")} scored by ${profiles.model} at the closing of ${profiles.period}` : `${plural(total, "customer")} when they were defined; no closing has scored them yet`,
    });
  }

  #closings(closings) {
    const last = closings.at(-1);
    replace(this.verdicts, (last?.verdicts ?? []).map((each) => h("li", { class: each.passed ? "passed" : "failed" }, h("b", {}, `${words(each.gate)} ${each.passed ? "passed" : "refused"}`), ` ${each.because}`)));
    if (!last) return this.closings.empty(h("p", {}, "No closing yet."), h("p", {}, "A closing ends a commission period: it trains a classifier of segments, judges it, and deploys it with the profiles that it scored."), h("code", {}, "gateway closing run 2017-10"));
    return this.closings.draw({
      rows: [...closings].reverse().map((each) => ({ name: each.period, parts: { [each.deployed ? "deployed" : "refused"]: each.macro_f1 }, hint: `${each.macro_f1.toFixed(3)}, ${each.model} ${each.deployed ? "deployed" : "refused"}` })),
      sentence: `${plural(closings.length, "closing")}; the last, of ${last.period}, on ${dated(last.at)}${last.refusal ? `, refused: ${last.refusal}` : ""}`,
    });
  }
}

const undefinedYet = () => [h("p", {}, "No segments are defined."), h("p", {}, "A data scientist defines them:"), h("code", {}, "gateway segments define --k 4")];

/** A feature in words; shares of categories are named by the last part of the category. */
const told = (feature) => (feature.startsWith("share.") ? `share of ${feature.split(".").at(-1).replaceAll("-", " ")}` : words(feature));
