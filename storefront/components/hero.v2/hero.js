// Sets and stock: four products with what a unit costs and how many there are.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { discount, naming, price } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

export function render({ heroSet }, page) {
  const products = heroSet?.products ?? [];
  if (!products.length) return null;
  return page.shelved(
    h("section", { class: "hero-set", "aria-labelledby": "hero-set" },
      h("div", { class: "hero-set-head" }, h("p", { class: "eyebrow" }, "In sets"), h("h2", { id: "hero-set" }, "Better by the dozen"), h("p", {}, "Four that run out first, with what one costs and how many are left.")),
      h("ul", { class: "hero-set-four" }, ...products.map(card))),
    heroSet.decision,
  );
}

function card(it) {
  const { title, size } = naming(it);
  const off = discount(it.price ?? {});
  const units = it.stock?.units;
  return h("li", {},
    h("a", { href: productPath(it.id), class: "hero-set-card" },
      art(it),
      h("span", { class: "hero-set-title" }, title),
      h("span", { class: "quiet" }, size ?? "one size"),
      h("span", { class: "hero-set-price" }, price(it.price?.amount, it.price?.currency), off > 0 && h("span", { class: "off" }, `-${off}%`)),
      h("span", { class: "hero-set-stock" }, units === null || units === undefined ? "in stock" : `${units} in stock`)));
}
