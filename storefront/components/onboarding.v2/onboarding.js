// First steps for visitors: three products to begin with.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { naming, price } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

const STEPS = ["Wash", "Care", "Keep"];

export function render({ firstProducts }, page) {
  const products = firstProducts?.products ?? [];
  if (!products.length) return null;
  return page.shelved(
    h("section", { class: "three", "aria-labelledby": "three" }, h("h2", { id: "three" }, "Three to begin with"), h("ol", { class: "three-list" }, ...products.map((it, at) => step(it, STEPS[at])))),
    firstProducts.decision,
  );
}

function step(it, name) {
  const { title, size, maker } = naming(it);
  return h("li", {}, h("a", { href: productPath(it.id) }, art(it), h("span", {}, h("span", { class: "eyebrow" }, name), h("strong", {}, title), h("span", { class: "quiet" }, [maker, size].filter(Boolean).join(" · ")), h("span", { class: "three-price" }, price(it.price?.amount, it.price?.currency)))));
}
