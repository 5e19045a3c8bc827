// The console: asks the gateway every two seconds while it is looked at, and draws what it is told.
import { ask, leave, Refused } from "./api.js";
import { tile } from "./bars.js";
import { sparkline } from "./charts.js";
import { h, replace } from "./dom.js";
import { duration, number, plural, share, words } from "./format.js";
import { Decisions } from "./panels/decisions.js";
import { FlagShares } from "./panels/flags.js";
import { Hub } from "./panels/hub.js";
import { PoliciesPanel } from "./panels/policies.js";
import { SegmentsPanel } from "./panels/segments.js";
import { hitShare, Traffic } from "./panels/traffic.js";
import { growth, quantile, Samples, sum } from "./samples.js";

const EVERY = 2000;
const LATELY = 60;
const HISTORY = { "15m": 900, "1h": 1800, "24h": 1800, "7d": 1800 };
const at = (id) => document.getElementById(id);

class Console {
  #samples = new Samples();
  #since = 0;
  #seen = {};

  constructor(me) {
    this.me = me;
    this.decisions = new Decisions(me.join_window_s);
    this.traffic = new Traffic();
    this.flags = new FlagShares();
    this.policies = new PoliciesPanel(me.csrf, say);
    this.segments = new SegmentsPanel();
    this.hub = new Hub();
    this.parts = [this.decisions, this.policies, this.traffic, this.flags, this.segments, this.hub];
    at("main").append(...this.parts.map((each) => each.element));
  }

  /** Ask for everything once; each part that cannot be read says so, and the others go on. */
  async look() {
    const view = this.#view();
    await this.#now(HISTORY[view.range]);
    await Promise.all([
      this.#part("rewards", this.decisions, () => this.decisions.refresh(view)),
      this.#part("flags", this.flags, () => this.flags.refresh()),
      this.#part("models", this.policies, () => this.policies.refresh()),
      this.#part("segments", this.segments, () => this.segments.refresh()),
      this.#part("hub", this.hub, () => this.hub.refresh()),
    ]);
    this.#placements(this.#seen.rewards?.placements ?? []);
    this.#tiles();
  }

  async rewards() {
    await this.#part("rewards", this.decisions, () => this.decisions.refresh(this.#view()));
    await this.#now(HISTORY[this.#view().range]);
    this.#tiles();
  }

  #view() {
    return Object.fromEntries(new FormData(at("filters")));
  }

  async #now(seconds) {
    const { now, earlier, learning } = await ask("now", { since: this.#since });
    this.#samples.add([...earlier, now]);
    this.#since = earlier.at(-1)?.at ?? this.#since;
    this.#seen.learning = learning;
    this.traffic.draw(this.#samples, seconds);
    this.flags.drawAsked(this.#samples);
    this.hub.drawBehind(this.#samples, seconds);
    status(learning, this.me);
  }

  async #part(name, panel, refresh) {
    try {
      this.#seen[name] = await refresh();
      panel.part.told(null);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) throw error;
      panel.part.told(error);
    }
  }

  #placements(placements) {
    const select = at("filters").elements.placement;
    const known = new Set([...select.options].map((each) => each.value));
    for (const each of placements) if (!known.has(each)) select.append(h("option", { value: each }, each.startsWith("component:") ? each.slice(10) : words(each)));
  }

  #tiles() {
    const [newest, before] = [this.#samples.newest, this.#samples.before(LATELY)];
    const seconds = Math.max((newest.at - before.at) / 1000, 1);
    const per = (metric, name) => this.#samples.series(900, (a, b, dt) => sum(growth(a, b, metric, name)) / dt);
    const requests = growth(before, newest, "requests");
    const failed = sum(growth(before, newest, "requests", (key) => (/\|5/.test(key) ? key : null)));
    const p95 = quantile(before, newest, "/graphql", 0.95);
    const hits = hitShare(this.#samples.before(300), newest);
    const { rewards, hub } = this.#seen;
    const decided = sum(growth(before, newest, "decisions"));
    const held = sum(hub?.quarantine.reasons ?? {});
    replace(
      at("tiles"),
      tile("Requests", `${number(sum(requests) / seconds)}/s`, failed ? plural(Math.round(failed), "failure in a minute", "failures in a minute") : "none failed in a minute", sparkline(per("requests").values), failed ? "bad" : ""),
      tile("Latency, p95", duration(p95), `half of /graphql within ${duration(quantile(before, newest, "/graphql", 0.5))}`, sparkline(this.#samples.series(900, (a, b) => quantile(a, b, "/graphql", 0.95)).values)),
      tile("From the cache", share(hits), "of look-ups in five minutes", sparkline(this.#samples.series(900, hitShare).values)),
      tile("Decisions", `${number((decided / seconds) * 60)}/min`, this.#policy(), sparkline(per("decisions").values)),
      this.#worth(rewards),
      tile("Join, behind", duration(newest.join_behind?.[""]), this.#behind(hub?.lags ?? []), sparkline(this.#samples.series(900, (_a, b) => b.join_behind?.[""] ?? null).values)),
      tile("Quarantine", number(held), held ? "events nothing is learned from" : "nothing set aside", null, held ? "bad" : ""),
    );
  }

  #policy() {
    const live = (this.#seen.models ?? []).filter((each) => each.live && each.name !== "segment").map((each) => `${each.name}@${each.live}`);
    return live.length ? `by ${live.join(", ")}` : "drawn evenly, no model yet";
  }

  #behind(lags) {
    const events = (group) => lags.filter((each) => each.group === group).reduce((all, each) => all + each.behind, 0);
    return `${plural(events("learn"), "event")} before the learner, ${number(events("lake"))} before the lake`;
  }

  #worth(rewards) {
    const mean = (line) => {
      const displayed = sum(line?.displayed ?? []);
      return displayed ? sum(line.rewards) / displayed : null;
    };
    const [model, plain, even] = ["model", "holdback", "even"].map((name) => mean(rewards?.groups[name]));
    const lines = Object.values(rewards?.personas ?? {});
    const bins = lines[0]?.displayed.map((_, place) => {
      const displayed = lines.reduce((all, line) => all + line.displayed[place], 0);
      return displayed ? lines.reduce((all, line) => all + line.rewards[place], 0) / displayed : null;
    }) ?? [];
    const beside = plain !== null ? `the default earns ${plain.toFixed(2)}` : even !== null ? `even chances earn ${even.toFixed(2)}` : "no decision was displayed";
    return tile("Mean reward", (model ?? even)?.toFixed(2) ?? "–", model === null && even !== null ? "drawn evenly" : beside, sparkline(bins));
  }
}

function status(learning, me) {
  const said = at("status");
  const [text, state] = !me.learning ? ["live", "good"] : learning === null ? ["live", "good"]
    : learning.status === "running" ? [`live · learning${learning.starts > 1 ? `, restarted ${learning.starts - 1}×` : ""}`, "good"] : ["live · learning restarts", "bad"];
  if (said.textContent !== text) said.textContent = text;
  said.dataset.state = state;
}

function banner(text) {
  at("banner").textContent = text ?? "";
  at("banner").hidden = !text;
  if (text) {
    at("status").textContent = "not connected";
    at("status").dataset.state = "bad";
  }
}

function say(text) {
  at("toast").textContent = text;
  at("toast").classList.add("shown");
  setTimeout(() => at("toast").classList.remove("shown"), 6000);
}

function themes() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const is = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const label = () => { at("theme").textContent = is() === "dark" ? "Light" : "Dark"; };
  const kept = localStorage.getItem("console-theme");
  if (kept) document.documentElement.dataset.theme = kept;
  at("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = is() === "dark" ? "light" : "dark";
    localStorage.setItem("console-theme", document.documentElement.dataset.theme);
    label();
  });
  dark.addEventListener("change", label);
  label();
}

/** Until it is time to look again, or the page comes into view. */
function pause() {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", end);
      done();
    };
    const timer = setTimeout(end, EVERY);
    document.addEventListener("visibilitychange", end);
  });
}

async function run() {
  themes();
  if (location.hash.includes("~")) history.replaceState(null, "", location.pathname); // a ticket that was not needed
  at("leave").addEventListener("click", async () => {
    await leave();
    location.reload();
  });
  for (const each of ["VISITOR", "BUILDER", "CONSULTANT", "SHOP_OWNER", "DIRECT_CUSTOMER"]) at("filters").elements.persona.append(h("option", { value: each }, words(each)));
  let shown = null;
  at("filters").addEventListener("change", () => shown?.rewards().catch((error) => banner(error.message)));
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  for (;;) {
    if (document.visibilityState === "visible") {
      try {
        shown ??= new Console(await ask("me"));
        await shown.look();
        banner(null);
      } catch (error) {
        if (error instanceof Refused && error.status === 401) return location.reload();
        banner(`The gateway cannot be asked (${error.message}). Trying again.`);
      }
    }
    await pause();
  }
}

run();
