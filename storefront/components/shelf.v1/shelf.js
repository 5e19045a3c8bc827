// A row of products that fits the screen.
import { h } from "../../shop/dom.js";

export function render({ decision, products }, page) {
  if (!products?.length) return null;
  return page.shelved(
    h("div", { class: "shelf-fit" },
      h("div", { class: "shelf-head" }, h("h2", {}, "For you")),
      h("ul", { class: "shelf-row is-cut" }, ...products.slice(0, 6).map((each) => h("li", {}, page.piece("product-tile", each))))),
    decision,
  );
}
