// A row of products that says why they are here.
import { h } from "../../shop/dom.js";
import { shelfTitle } from "../../shop/format.js";

export function render({ decision, products }, page) {
  if (!products?.length) return null;
  const title = shelfTitle(decision?.action, products);
  const row = h("ul", { class: "shelf-row", tabindex: 0, role: "list", "aria-label": title }, ...products.map((each) => h("li", {}, page.piece("product-tile", each))));
  const step = (text, name, way) => h("button", { type: "button", class: "shelf-step", "aria-label": name, onClick: () => row.scrollBy({ left: way * row.clientWidth * 0.8, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }) }, text);
  return page.shelved(
    h("div", { class: "shelf-why" },
      h("div", { class: "shelf-head" }, h("h2", {}, title), h("p", { class: "shelf-steps" }, step("‹", "Back along the shelf", -1), step("›", "On along the shelf", 1))),
      row),
    decision,
  );
}
