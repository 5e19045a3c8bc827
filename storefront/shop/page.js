// One view of a page, from its address to what is on the screen: which versions, then their data and their code at once.
import { beginPage, mark } from "./events.js";
import { basket } from "./basket.js";
import { ask } from "./graph.js";
import { documentOf, load, supported, versions } from "./pieces.js";
import { Trace } from "./trace.js";
import { viewer } from "./viewer.js";

export const APP_VERSION = "2.2.0";
function untrusted(error) {
  if (error.code !== "UNTRUSTED_DOCUMENT") throw error;
  console.warn("the manifest of trusted documents has no page of these versions", error.message);
  return null;
}

export const SORTS = ["POPULAR", "PRICE_ASC", "PRICE_DESC", "NAME"];

/** What is asked and known while one page is shown. Components and layouts are handed it. */
export class Page {
  constructor(route, { signal, explain = false, category = null }) {
    this.route = route;
    this.name = route.name;
    this.signal = signal;
    this.explain = explain;
    this.category = category;
    this.trace = new Trace();
    /** Components of this page as the gateway told them, by name. */
    this.components = new Map();
    this.data = {};
    this.extensions = {};
    this.cache = [];
    this.persona = "VISITOR";
    this.segment = null;
  }

  /** Ask for the versions, then for the data and the code of just those. */
  async open() {
    // Which tools there are is the viewer's own; what they hold is that of the customer whom the viewer shops for.
    const own = await this.claim();
    this.context = viewer.shopsFor ? { ...own, customerId: viewer.shopsFor } : own;
    const told = await this.ask("versions", [], { page: this.name, context: own });
    this.persona = told.extensions?.context?.persona ?? "VISITOR";
    this.segment = told.data.segment;
    this.cache.push(...(told.extensions?.cache ?? []));
    const known = await versions();
    for (const piece of told.data.components ?? []) {
      const version = piece.enabled ? known.get(`${piece.name}.${piece.version ?? "v1"}`) : null;
      this.components.set(piece.name, { ...piece, entry: version ?? null, module: null });
    }
    const inPlay = this.inPlay();
    const modules = Promise.all(inPlay.map(async (piece) => (piece.module = await load(piece.entry))));
    const variables = await this.variables();
    const asked = this.ask(this.name, inPlay, variables, { deferred: !this.explain }).catch(untrusted);
    let [answer] = await Promise.all([asked, modules]);
    if (!answer) {
      // Versions that nobody foresaw when the manifest was made: the page stands without its components.
      for (const piece of inPlay) piece.module = null;
      answer = await this.ask(this.name, [], variables);
    }
    this.data = answer.data;
    this.errors = answer.errors ?? [];
    this.extensions = { ...told.extensions, ...answer.extensions };
    this.cache.push(...(answer.extensions?.cache ?? []));
    this.rest = answer.rest;
    beginPage(this.trace);
    return this;
  }

  /** The components of this page that are on and can be rendered. */
  inPlay() {
    return Array.from(this.components.values()).filter((piece) => piece.entry);
  }

  has(name) {
    return Boolean(this.components.get(name)?.module);
  }

  /** The component, drawn from its data and marked with what is behind it; null where it is off or has no data. */
  piece(name, data = this.data) {
    const piece = this.components.get(name);
    if (!piece?.module || !data) return null;
    let element = null;
    try {
      element = piece.module.render(data, this, piece.values ?? {});
    } catch (error) {
      console.error(`component ${piece.entry.module} failed`, error);
    }
    if (element) {
      element.dataset.piece = `${name}.${piece.entry.version}`;
      mark(element, { decisionId: piece.decision?.id ?? null, exposureId: piece.exposure?.id ?? null });
    }
    return element;
  }

  /** Mark a shelf with the decision that filled it. */
  shelved(element, decision) {
    mark(element, { decisionId: decision?.id ?? null });
    return element;
  }

  /** Put units of a product into the basket; resolves with its sums. */
  add(productId, quantity, at) {
    return basket.add(productId, quantity, at, this.trace);
  }

  /** What follows a list's last product; null where it cannot be had. */
  async next(after) {
    const answer = await this.ask(`more-${this.name}`, this.inPlay(), { ...(await this.variables()), after });
    return answer.data.catalog;
  }

  /** What the search box shows while one types: the data of its fragment. */
  async suggest(words) {
    const answer = await this.ask("suggestions", this.inPlay(), { search: words });
    return answer.data;
  }

  /** The basket as it is now, for the drawer; null where there is none. */
  async freshBasket() {
    if (!basket.id) return null;
    const answer = await this.ask("drawer", this.inPlay(), { basketId: basket.id });
    return answer.data.basket;
  }

  /** Ask for a document of the shop, with those of the variables that it has, in the trace of this view. */
  async ask(name, pieces = [], variables = {}, how = {}) {
    const { text, names } = await documentOf(name, pieces.map((piece) => piece.entry));
    const wanted = Object.fromEntries(names.map((each) => [each, variables[each]]));
    return ask(text, wanted, { trace: this.trace, signal: this.signal, explain: this.explain, ...how });
  }

  async claim() {
    const claimed = { appVersion: APP_VERSION, supports: await supported() };
    if (this.category) claimed.category = this.category;
    return claimed;
  }

  async variables() {
    const { id, query } = this.route;
    const sort = query.get("sort");
    return {
      context: this.context,
      basketId: basket.id ?? "",
      hasBasket: basket.id !== null,
      id,
      category: id,
      words: query.get("q") ?? "",
      search: query.get("q") ?? "",
      sort: SORTS.includes(sort) ? sort : this.name === "search" ? "RELEVANCE" : "POPULAR",
      after: null,
      productIds: this.components.get("bulk-pad")?.entry ? await this.pad() : [],
    };
  }

  /** The products on the shop owner's pad; at first what sells best. */
  async pad() {
    const kept = JSON.parse(localStorage.getItem("pad") ?? "null");
    if (kept?.length) return kept;
    const { data } = await this.ask("popular");
    return (data.catalog?.nodes ?? []).map((each) => each.id);
  }

  keepPad(ids) {
    localStorage.setItem("pad", JSON.stringify(ids.slice(0, 100)));
  }
}
