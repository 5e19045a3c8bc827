// Flags: who decides, and what is given, by the exposures of the last hour.
import { ask } from "../api.js";
import { Bars } from "../bars.js";
import { h } from "../dom.js";
import { number, plural } from "../format.js";
import { growth, sum } from "../samples.js";
import { section } from "./section.js";

const short = (key) => key.replace(/^component\./, "");

export class FlagShares {
  constructor() {
    this.deciders = new Bars({ title: "Who decided, by flag", note: "Exposures of the last hour.", shares: true, rowLabel: short });
    this.given = new Bars({ title: "What was given, by flag", note: "Variants of the same exposures.", shares: true, rowLabel: short, label: (name) => name });
    this.asked = new Bars({ title: "Who decided, of everything asked", note: "Evaluations in the last five minutes, with and without an exposure." });
    this.refused = h("div", { class: "card refused", hidden: true });
    this.part = section("flags", "Flags", "Which versions and variants viewers get, and why.", this.deciders, this.given, this.asked);
    this.part.element.append(this.refused);
    this.element = this.part.element;
  }

  async refresh() {
    const found = await ask("flags");
    const shown = found.flags.filter((flag) => flag.exposures > 0);
    const silent = found.served - shown.length;
    const sentence = `${plural(found.served, "flag")} served, ${number(silent)} given to nobody in the last hour`;
    if (shown.length) {
      const rows = (member) => shown.map((flag) => ({ name: flag.key, parts: flag[member], hint: plural(flag.exposures, "exposure") }));
      this.deciders.draw({ rows: rows("deciders"), sentence });
      this.given.draw({ rows: rows("given"), sentence: shown.filter((flag) => flag.personalized).map((flag) => short(flag.key)).join(", ").replace(/^(.)/, "Personalized: $1") });
    } else {
      for (const chart of [this.deciders, this.given]) chart.empty(h("p", {}, `${plural(found.served, "flag")} served. Nobody was given one in the last hour.`), h("p", {}, "A page that asks for components with a context is."));
    }
    this.#refusals(found.refused);
    return found;
  }

  drawAsked(samples) {
    const grown = growth(samples.before(300), samples.newest, "deciders");
    if (sum(grown) <= 0) return this.asked.empty(h("p", {}, "No flag was asked for within five minutes."));
    const rows = Object.entries(grown).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]).map(([name, count]) => ({ name: name.toLowerCase().replaceAll("_", " "), parts: { [name]: count } }));
    return this.asked.draw({ rows, sentence: `${number(sum(grown))} evaluations` });
  }

  #refusals(refused) {
    this.refused.hidden = !refused.length;
    if (!refused.length) return;
    this.refused.replaceChildren(h("h3", {}, "Refused as they stand"), h("ul", {}, refused.map((each) => h("li", {}, h("b", {}, each.flag ?? each.file), ` ${each.reason}`))));
  }
}
