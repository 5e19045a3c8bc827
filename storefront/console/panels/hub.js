// The hub: how far its groups are behind, and what nobody may learn from.
import { ask } from "../api.js";
import { Bars } from "../bars.js";
import { TimeChart } from "../charts.js";
import { h } from "../dom.js";
import { ago, number, plural } from "../format.js";
import { sum } from "../samples.js";
import { section } from "./section.js";

const WHAT = { join: "join", learn: "online learner", lake: "lake" };

export class Hub {
  constructor() {
    this.behind = new TimeChart({ title: "Events behind, by group", note: "The join holds what its window needs, so it is never at zero while there is traffic.", label: (name) => WHAT[name] ?? name });
    this.now = new Bars({ title: "Behind right now", note: "Events by topic. The lake writes twice a minute." });
    this.quarantine = new Bars({ title: "Quarantine", note: "Joined decisions that nothing is learned from, by reason." });
    this.latest = h("ol", { class: "latest" });
    this.quarantine.details.before(this.latest);
    this.part = section("hub", "Hub and quarantine", "Whether joining, learning and storing keep up.", this.behind, this.now, this.quarantine);
    this.element = this.part.element;
  }

  async refresh() {
    const found = await ask("hub");
    if (found.lags.length) this.#lags(found.lags);
    else this.now.empty(h("p", {}, "No group has read anything yet."), h("p", {}, "They run beside the gateway, or as ", h("code", {}, "gateway join"), ", ", h("code", {}, "gateway learn"), " and ", h("code", {}, "gateway lake write"), "."));
    this.#quarantined(found.quarantine);
    return found;
  }

  drawBehind(samples, seconds) {
    const perGroup = samples.series(seconds, (_before, after) => {
      const groups = {};
      for (const [key, behind] of Object.entries(after.lag ?? {})) groups[key.split("|")[0]] = (groups[key.split("|")[0]] ?? 0) + behind;
      return groups;
    });
    const groups = [...new Set(perGroup.values.flatMap((each) => Object.keys(each ?? {})))].sort();
    if (!groups.length) return this.behind.empty(h("p", {}, "No group has read anything yet."));
    const values = Object.fromEntries(groups.map((group) => [group, perGroup.values.map((each) => each?.[group] ?? null)]));
    return this.behind.draw({ ...perGroup, values });
  }

  #lags(lags) {
    const away = [...new Set(lags.filter((each) => each.members === 0).map((each) => each.group))];
    const total = lags.reduce((all, each) => all + each.behind, 0);
    const groups = [...new Set(lags.map((each) => each.group))];
    this.now.draw({
      rows: groups.map((group) => ({ name: WHAT[group] ?? group, parts: Object.fromEntries(lags.filter((each) => each.group === group).map((each) => [each.topic, each.behind])), hint: away.includes(group) ? "nobody reads" : undefined })),
      sentence: away.length ? `Nobody works for: ${away.map((each) => WHAT[each] ?? each).join(", ")}` : `${plural(total, "event")} not done yet`,
    });
  }

  #quarantined({ reasons, latest }) {
    this.latest.replaceChildren(...latest.slice(0, 6).map((each) => h("li", {}, h("b", {}, each.reason), ` ${each.model && `of ${each.model}, `}${each.place} `, h("time", {}, ago(each.at)))));
    if (!sum(reasons)) return this.quarantine.empty(h("p", { class: "good" }, "Nothing is in quarantine."));
    return this.quarantine.draw({
      rows: Object.entries(reasons).map(([name, count]) => ({ name, parts: { [name]: count } })),
      sentence: `${plural(sum(reasons), "event")} set aside. What they hold stays in the hub's topic.`,
    });
  }
}
