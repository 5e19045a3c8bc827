// The demo's bar: become anybody, and look behind the page. It is there only where the gateway opens its demo's door.
import { announce, h } from "./dom.js";
import { personaName } from "./format.js";
import { viewer } from "./viewer.js";

const PERSONAS = ["VISITOR", "DIRECT_CUSTOMER", "CONSULTANT", "SHOP_OWNER", "BUILDER"];
/** Whether the gateway lets one become anybody: it says so in the page. */
export const isDemo = () => document.querySelector('meta[name="demo"]').content === "open";

const ABSENT = { tell() {} };

/** Whether one looks behind the page. Pages are then asked for in one piece, so that the cache can tell of all of it. */
export const isBehindOpen = () => sessionStorage.getItem("behind") === "open";

/** The bar, drawn into its place; one that does nothing where there is no demo. `show` shows the page anew. */
export async function openBar({ show }) {
  if (!isDemo()) return ABSENT;
  await new Promise((resolve) => {
    const style = h("link", { rel: "stylesheet", href: new URL("bar.css", import.meta.url), onLoad: resolve, onError: resolve });
    document.head.append(style);
  });
  return new Bar(show);
}

class Bar {
  constructor(show) {
    this.table = h("div", { class: "bar-behind", id: "behind" });
    this.people = h("div", { class: "bar-people", role: "group", "aria-label": "Become" }, ...PERSONAS.map((persona) => this.become(persona)));
    this.number = h("input", { id: "bar-number", name: "customer", inputmode: "numeric", autocomplete: "off", placeholder: "1 to 2499", size: 9 });
    this.toggle = h("button", { type: "button", class: "bar-toggle", "aria-controls": "behind", onClick: () => this.look(!isBehindOpen(), show) }, "Behind the page");
    const form = h("form", { class: "bar-form", onSubmit: (event) => (event.preventDefault(), signIn(this.number.value.trim())) }, h("label", { for: "bar-number" }, "Customer"), this.number, h("button", { type: "submit" }, "Become"));
    const place = document.getElementById("bar");
    place.className = "bar";
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", "Demo");
    place.replaceChildren(h("div", { class: "bar-row" }, h("strong", { class: "bar-name" }, "Demo"), this.people, form, this.toggle), this.table);
    document.body.classList.add("has-bar");
    this.sync();
  }

  look(open, show) {
    sessionStorage.setItem("behind", open ? "open" : "closed");
    this.sync();
    if (open) show();
  }

  sync() {
    this.toggle.setAttribute("aria-expanded", String(isBehindOpen()));
    this.table.hidden = !isBehindOpen();
  }

  become(persona) {
    return h("button", { type: "button", "data-persona": persona, onClick: () => (persona === "VISITOR" ? leave() : first(persona)) }, personaName(persona));
  }

  /** Tell what is behind the page that is shown. */
  tell(page) {
    for (const button of this.people.children) button.setAttribute("aria-pressed", String(button.dataset.persona === page.persona));
    this.number.value = viewer.customerId ?? "";
    const rows = [...page.components.values()].map((piece) => componentRow(piece, page));
    this.table.replaceChildren(h("dl", { class: "bar-facts" }, ...facts(page)), h("div", { class: "bar-scroll", tabindex: 0, role: "group", "aria-label": "Components of this page" }, sheet(["Component", "Version", "Who decided", "Why", "Probability", "Cache"], rows)));
    page.filled = () => this.tellShelf(page);
    if (page.data.shelf) this.tellShelf(page);
  }

  tellShelf(page) {
    const { decision } = page.data.shelf ?? {};
    if (!decision) return;
    const row = h("tr", { class: "is-shelf" }, h("th", { scope: "row" }, "products of the shelf"), h("td", {}, decision.action), h("td", {}, decision.mode ?? "-"), h("td", {}, decision.policy ?? decision.reason ?? "-"), h("td", {}, percent(decision.probability)), h("td", {}, states(page, ["Recommendations.products"])));
    this.table.querySelector(".is-shelf")?.remove();
    this.table.querySelector("tbody")?.append(row);
  }
}

function facts(page) {
  const told = [
    ["Persona", personaName(page.persona)],
    ["Segment", page.segment?.name ?? page.segment?.key ?? "none yet"],
    ["Context", Object.entries(page.extensions.context ?? {}).filter(([name, value]) => value && name !== "persona").map(([name, value]) => `${name} ${value}`).join(", ")],
    ["Trace", page.trace.id],
  ];
  return told.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
}

function sheet(heads, rows) {
  return h("table", {}, h("caption", { class: "visually-hidden" }, "Components of this page and who decided about them"), h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, ...rows));
}

function componentRow(piece, page) {
  const off = !piece.enabled;
  return h("tr", { class: off ? "is-off" : null }, h("th", { scope: "row" }, piece.name), h("td", {}, off ? "off" : (piece.version ?? "on")), h("td", {}, piece.decidedBy), h("td", {}, piece.reason), h("td", {}, percent(piece.decision?.probability)), h("td", {}, states(page, fields(piece))));
}

/** What the cache calls the values that a component stands on. */
function fields({ entry }) {
  if (!entry) return [];
  const [, on, body] = /\bon (\w+) \{([^]*)/.exec(entry.fragment);
  if (on !== "Query") return [on === "Recommendations" ? "Recommendations.products" : on];
  const roots = Array.from(body.matchAll(/^  (?:\w+: )?(\w+)/gm), ([, field]) => field);
  return roots.map((field) => (field === "recommendations" ? "Recommendations.products" : `Query.${field}`));
}

const percent = (probability) => (probability ? `${Math.round(probability * 100)} %` : "-");

/** What the cache said of a field: told only to who has the preview right, which a visitor has not. */
function states(page, fields) {
  const found = new Set(page.cache.filter((note) => fields.includes(note.field)).map((note) => note.state));
  if (found.size) return [...found].join(", ").toLowerCase();
  return viewer.token ? "not kept" : "for customers";
}

async function first(persona) {
  const response = await fetch(`/demo/people?persona=${persona}`);
  const { people } = await response.json();
  const [chosen] = people;
  if (chosen) await signIn(chosen.id);
}

async function signIn(customerId) {
  const response = await fetch("/demo/sign-in", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ customerId }) });
  if (!response.ok) return announce(`There is no customer ${customerId}`);
  const { token, customer } = await response.json();
  viewer.signIn(token, customer.id);
  location.assign("/");
}

function leave() {
  viewer.signOut();
  location.assign("/");
}
