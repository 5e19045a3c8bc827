// The viewer's basket: where it is kept, what was put into it, and which decisions led there.
import { currentTrace, decisionsAt, report } from "./events.js";
import { ask } from "./graph.js";
import { documentOf } from "./pieces.js";
import { tagged } from "./tag.js";
import { viewer } from "./viewer.js";

const key = () => `basket/${viewer.customerId ?? "visitor"}`;
const LED_HERE_MS = 30 * 60 * 1000;

export const basket = {
  /** Id of the viewer's basket, null before anything is in it. */
  get id() {
    return localStorage.getItem(key());
  },
  forget() {
    localStorage.removeItem(key());
  },

  /** Put units of a product into it; resolves with the basket's sums. `at` is the element that was used for it. */
  async add(productId, quantity, at, trace) {
    const answer = await this.put(productId, quantity, trace);
    if (!answer.data.addToBasket) throw new Error(answer.errors?.[0]?.message ?? "The shop did not take it.");
    localStorage.setItem(key(), answer.data.addToBasket.id);
    led.note(productId, decisionsAt(at));
    for (const [decisionId, traceId] of led.to(productId)) {
      const id = report({ type: "added_to_basket", decisionId, productId, quantity }, traceId);
      tagged("add_to_cart", { decision_id: decisionId, event_id: id, items: [{ item_id: productId, quantity }] }, traceId);
    }
    dispatchEvent(new CustomEvent("basket", { detail: answer.data.addToBasket }));
    return answer.data.addToBasket;
  },

  async put(productId, quantity, trace) {
    const { text } = await documentOf("add");
    return ask(text, { productId, quantity, basketId: this.id }, { trace });
  },

  /** A new basket with these lines in place of the old one: how one takes something out again. */
  async replace(lines, trace) {
    this.forget();
    let sums = { units: 0, amount: "0" };
    for (const { productId, quantity } of lines) {
      const answer = await this.put(productId, quantity, trace);
      if (!answer.data.addToBasket) continue;
      sums = answer.data.addToBasket;
      localStorage.setItem(key(), sums.id);
    }
    dispatchEvent(new CustomEvent("basket", { detail: sums }));
  },

  /** Tell what was bought, as the outcome of the decisions that led there, and begin anew. */
  buy(lines) {
    const transaction = crypto.randomUUID();
    for (const { productId, quantity } of lines)
      for (const [decisionId, traceId] of led.to(productId)) {
        const id = report({ type: "purchased", decisionId, productId, quantity }, traceId);
        tagged("purchase", { transaction_id: transaction, event_id: id, decision_id: decisionId, items: [{ item_id: productId, quantity }] }, traceId);
      }
    this.forget();
    dispatchEvent(new CustomEvent("basket", { detail: { units: 0, amount: "0" } }));
  },
};

/** Which decisions led to a product within the last half hour, each with the trace of the page that showed it. */
export const led = {
  note(productId, decisions) {
    const here = decisions.map((id) => [id, currentTrace()?.id ?? null]);
    if (here.length) sessionStorage.setItem(`led/${productId}`, JSON.stringify({ at: Date.now(), decisions: [...new Map([...here, ...this.to(productId)])] }));
  },
  to(productId) {
    const { at, decisions } = JSON.parse(sessionStorage.getItem(`led/${productId}`) ?? '{"at":0,"decisions":[]}');
    return Date.now() - at < LED_HERE_MS ? decisions : [];
  },
};
