// The models that decide: which version was live when, what speaks for it, and the way back.
import { ask, change } from "../api.js";
import { Bars, Intervals, Steps } from "../bars.js";
import { h, freshId, replace } from "../dom.js";
import { ago, dated, number, plural } from "../format.js";
import { section } from "./section.js";

const BY_THEMSELVES = ["gateway learn", "gateway closing"];
const ORDER = ["shelf", "component", "segment"];
const ABOUT = { shelf: "what shelves show", component: "versions of components and variants of flags", segment: "which segment a customer is in" };

export class PoliciesPanel {
  #models = new Map();
  #csrf;
  #say;

  constructor(csrf, say) {
    this.#csrf = csrf;
    this.#say = say;
    this.none = h("div", { class: "card nothing" }, h("p", {}, "No model has been stored yet."), h("p", {}, "While there is none, decisions are drawn evenly. The first comes a few seconds after the first decisions are joined."));
    this.part = section("policies", "Policies", "Each version of a model, and which of them decides.", this.none);
    this.element = this.part.element;
  }

  async refresh() {
    const { models } = await ask("models");
    models.sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));
    this.none.hidden = models.length > 0;
    for (const model of models) {
      if (!this.#models.has(model.name)) {
        const made = new ModelCards(model.name, (what, body) => this.#change(what, body));
        this.#models.set(model.name, made);
        this.part.grid.append(...made.elements);
      }
      this.#models.get(model.name).draw(model);
    }
    return models;
  }

  async #change(what, body) {
    const done = await change(what, this.#csrf, body);
    this.#say(`${done.live} is live in place of ${done.replaced ?? "nothing"}.`);
    await this.refresh();
  }
}

class ModelCards {
  constructor(name, changed) {
    this.name = name;
    this.live = new Steps({ title: `${name}: the live version`, note: `It decides ${ABOUT[name] ?? "in its name"}. Rings are changes made by hand.` });
    this.worth = new Bars({ title: `${name}: what versions learned from`, note: name === "segment" ? "Rows of the closing that made each." : "Mean reward of the rows that each version added.", format: name === "segment" ? number : (value) => value.toFixed(2), totals: false, label: (state) => state, most: 8 });
    this.evidence = new Intervals({ title: `${name}: evidence`, note: name === "segment" ? "Gain in macro-F1 on customers held out, with its interval." : "What a policy would earn on held out rows: doubly robust, with its interval." });
    this.dialog = new RollBack(name, changed);
    this.button = h("button", { type: "button", class: "danger", onclick: () => this.dialog.open(this.model) }, `Roll ${name} back…`);
    this.lineage = h("ol", { class: "lineage", "aria-label": `Lineage of the live version of ${name}` });
    this.live.details.before(this.lineage, h("div", { class: "actions" }, this.button));
    this.live.element.append(this.dialog.element);
    this.elements = [this.live.element, this.worth.element, this.evidence.element];
  }

  draw(model) {
    this.model = model;
    const last = model.promotions.at(-1);
    this.button.disabled = model.versions.length < 2;
    this.button.title = this.button.disabled ? "There is no other version to go back to." : "";
    if (last) this.#steps(model, last);
    else this.live.empty(h("p", {}, `${plural(model.versions.length, "version")} stored, none was ever live.`));
    this.#lineage(model);
    const shown = [...model.versions].reverse();
    const value = (each) => (model.name === "segment" ? each.events : each.metrics.mean_reward) ?? null;
    const worth = shown.filter((each) => value(each) !== null).slice(0, 8);
    if (worth.length) this.worth.draw({ rows: worth.map((each) => ({ name: each.label, parts: { [each.state]: value(each) }, hint: model.name === "segment" ? plural(value(each), "row") : `${this.worth.format(value(each))} · ${plural(each.events ?? 0, "event")} so far` })), sentence: model.graduated ? "The apprentice has graduated." : "" });
    else this.worth.empty(h("p", {}, "No version says what it learned from."));
    this.#evidence(shown);
  }

  #steps(model, last) {
    const steps = model.promotions.map((each) => ({
      at: each.at, value: each.version, marked: !BY_THEMSELVES.includes(each.by),
      title: `${model.name}@${each.version} ${each.change}${each.by ? ` by ${each.by}` : ""}${each.because ? `: ${each.because}` : ""}`,
    }));
    const by = last.by ? ` by ${last.by}` : "";
    this.live.draw({ steps, until: Math.max(Date.now(), last.at), sentence: `${model.name}@${model.live} is live, ${last.change} ${ago(last.at)}${by}${last.because ? `: ${last.because}` : ""}` });
  }

  #lineage(model) {
    const byLabel = new Map(model.versions.map((each) => [each.label, each]));
    const chain = [];
    for (let at = byLabel.get(`${model.name}@${model.live}`); at && chain.length < 4; at = byLabel.get(at.parents[0])) chain.push(at);
    replace(this.lineage, chain.map((each) => h("li", { title: `stored ${dated(each.created)}` }, each.label)));
  }

  #evidence(versions) {
    const judged = versions.map((each) => ({ each, found: each.evidence.judged ?? (each.evidence.scores ? each.evidence : null) })).find(({ found }) => found?.scores);
    const gates = versions.find((each) => each.evidence.evaluation)?.evidence;
    if (judged) {
      const { each, found } = judged;
      const method = found.method ?? "DR";
      const bars = found.scores.map((score, place) => ({ name: place ? score.policy : `${each.label} (${score.policy})`, ...score[method], strong: place === 0 }));
      this.evidence.draw({ bars, mark: bars.find((bar) => bar.name === found.live)?.value ?? null, sentence: `${found.verdict}: ${plural(found.rows, "row")} of ${plural(found.subjects, "subject")}` });
    } else if (gates) {
      const { gain_on_live: live, gain_on_majority: majority } = gates.evaluation;
      const bars = [["gain over the live model", live], ["gain over the largest segment", majority]].filter(([, gain]) => gain);
      this.evidence.draw({ bars: bars.map(([name, gain]) => ({ name, low: gain.lower, value: gain.middle, high: gain.upper, strong: true })), mark: 0, sentence: gates.refusal ? `refused: ${gates.refusal}` : "passed all gates" });
    } else {
      this.evidence.empty(h("p", {}, "These versions were learned online, without a trial."), h("p", {}, "Candidates are judged on logged rows by"), h("code", {}, "gateway learn offline"));
    }
  }
}

/** Asks which version, why, and whether that is meant; only then something is changed. */
class RollBack {
  constructor(name, changed) {
    const [title, pick, why] = [freshId("rollback"), freshId("version"), freshId("why")];
    this.name = name;
    this.changed = changed;
    this.select = h("select", { id: pick, name: "version", onchange: () => this.#say() });
    this.reason = h("input", { id: why, name: "because", required: true, maxlength: "300", autocomplete: "off", placeholder: "what you saw" });
    this.saying = h("p", {});
    this.trouble = h("p", { class: "refusal", role: "alert", hidden: true });
    this.sure = h("button", { type: "submit", class: "danger" }, "Make it live");
    this.form = h("form", { method: "dialog", onsubmit: (event) => this.#submit(event) },
      h("h3", { id: title }, `Change the live version of ${name}`),
      h("label", { for: pick }, "Version"), this.select,
      h("label", { for: why }, "Why, in a sentence; it is kept with the change"), this.reason,
      this.saying, this.trouble,
      h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: () => this.element.close() }, "Leave it as it is"), this.sure));
    this.element = h("dialog", { "aria-labelledby": title }, this.form);
  }

  open(model) {
    this.model = model;
    const others = [...model.versions].reverse().filter((each) => each.version !== model.live && (model.name !== "segment" || each.state === "retired"));
    const before = model.replaces ?? others[0]?.version;
    replace(this.select, others.map((each) => h("option", { value: each.version, selected: each.version === before }, `${each.label}, ${each.state}, ${number(each.events ?? 0)} events, ${dated(each.created)}`)));
    this.trouble.hidden = true;
    this.reason.value = "";
    this.sure.disabled = !others.length;
    this.#say();
    this.element.showModal();
  }

  #chosen() {
    return this.model.versions.find((each) => each.version === Number(this.select.value));
  }

  #say() {
    const chosen = this.#chosen();
    if (!chosen) return;
    const goesOn = this.name === "segment" ? "" : " While rows come in, the online learner goes on from it and stores the next version.";
    this.saying.textContent = `${this.name}@${this.model.live} is live now. Running gateways take ${chosen.label} within a second.${goesOn}`;
    this.sure.textContent = `Make ${chosen.label} live`;
  }

  async #submit(event) {
    event.preventDefault();
    const chosen = this.#chosen();
    this.sure.disabled = true;
    this.trouble.hidden = true;
    try {
      const what = chosen.state === "candidate" ? "promote" : "rollback";
      await this.changed(what, { model: this.name, version: chosen.version, because: this.reason.value });
      this.element.close();
    } catch (error) {
      this.trouble.textContent = `That was not done: ${error.message}`;
      this.trouble.hidden = false;
    } finally {
      this.sure.disabled = false;
    }
  }
}
