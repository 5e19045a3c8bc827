// Filters by package size and by margin, for those who sell on. The list hears of a filter by the event `filter`.
import { h } from "../../shop/dom.js";
import { discount } from "../../shop/format.js";

const MARGINS = [0, 5, 10, 20, 30];

export function render({ nodes }) {
  if (!nodes?.length) return null;
  const sizes = [...new Set(nodes.map(({ size }) => size).filter(Boolean))].sort((a, b) => parseFloat(a) - parseFloat(b));
  const size = h("select", { id: "size" }, h("option", { value: "" }, "any"), ...sizes.map((each) => h("option", {}, each)));
  const margin = h("select", { id: "margin" }, ...MARGINS.map((each) => h("option", { value: each }, each ? `${each}% and more` : "any")));
  const fits = (it) => (!size.value || it.size === size.value) && discount(it.price ?? {}) >= Number(margin.value);
  const form = h("form", { class: "filters", "aria-label": "Filters", onChange: () => form.dispatchEvent(new CustomEvent("filter", { detail: fits })) }, h("label", { for: "size" }, "Package ", size), h("label", { for: "margin" }, "Below list price ", margin));
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}
