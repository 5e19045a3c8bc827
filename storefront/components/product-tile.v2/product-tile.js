// One product in a list with a button that adds it to the basket.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { discount, naming, price } from "../../shop/format.js";
import { put } from "../../shop/layouts.js";
import { productPath } from "../../shop/routes.js";

export function render(it, page) {
  const { title, size, maker, number } = naming(it);
  const off = discount(it.price ?? {});
  const there = it.stock?.available !== false;
  const add = h("button", { class: "tile-add", type: "button", disabled: !there, onClick: () => added(add, page, it) }, h("span", {}, there ? "Add" : "Out"), h("span", { class: "visually-hidden" }, there ? ` ${title} to the basket` : ` of stock: ${title}`));
  return h("article", { class: "tile has-button" },
    h("div", { class: "tile-picture" }, art(it), off >= 5 && h("span", { class: "off tile-off" }, `-${off}%`), page.has("coupons") && it.coupons ? page.piece("coupons", it) : null),
    h("p", { class: "tile-maker" }, maker ?? it.brand ?? "Linden"),
    h("h3", { class: "tile-title" }, h("a", { href: productPath(it.id), "data-category": page.category }, title)),
    h("p", { class: "tile-size" }, [size, number].filter(Boolean).join(" · ") || "one size"),
    h("p", { class: "tile-price" }, price(it.price?.amount, it.price?.currency), off >= 5 && h("s", {}, price(it.price.listAmount, it.price.currency))),
    add);
}

async function added(button, page, it) {
  button.disabled = true;
  await put(page, it, 1, button);
  button.disabled = false;
  const [text] = button.children;
  text.textContent = "Added";
  setTimeout(() => (text.textContent = "Add"), 1600);
}
