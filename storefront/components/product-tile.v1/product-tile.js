// One product in a list: name, size, price.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { naming, price } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

export function render(it, page) {
  const { title, size, maker, number } = naming(it);
  return h("article", { class: "tile" },
    h("div", { class: "tile-picture" }, art(it), page.has("coupons") && it.coupons ? page.piece("coupons", it) : null),
    h("p", { class: "tile-maker" }, maker ?? "Linden"),
    h("h3", { class: "tile-title" }, h("a", { href: productPath(it.id), "data-category": page.category }, title)),
    h("p", { class: "tile-size" }, [size, number].filter(Boolean).join(" · ") || "one size"),
    h("p", { class: "tile-price" }, price(it.price?.amount, it.price?.currency)));
}
