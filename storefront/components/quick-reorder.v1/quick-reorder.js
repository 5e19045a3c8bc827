// What the consultant's customer buys most, one by one.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { naming, price } from "../../shop/format.js";
import { put } from "../../shop/layouts.js";
import { productPath } from "../../shop/routes.js";
import { viewer } from "../../shop/viewer.js";

export function render({ reorder }, page) {
  const products = reorder?.products ?? [];
  if (!products.length) return null;
  return page.shelved(
    h("section", { class: "again", "aria-labelledby": "again" },
      h("div", { class: "again-head" }, h("h2", { id: "again" }, viewer.shopsFor ? `Again for customer ${viewer.shopsFor}` : "Order again"), h("a", { href: "/reorder" }, viewer.shopsFor ? "Another customer" : "Choose a customer")),
      h("ul", { class: "again-list" }, ...products.map((it) => row(it, page)))),
    reorder.decision,
  );
}

function row(it, page) {
  const { title, size, maker, number } = naming(it);
  const add = h("button", { class: "button is-small", type: "button", "aria-label": `Add ${title}`, onClick: async () => {
    add.disabled = true;
    await put(page, it, 1, add);
    add.disabled = false;
  } }, "Add");
  return h("li", {},
    art(it),
    h("div", {}, h("a", { href: productPath(it.id) }, title), h("p", { class: "quiet" }, [maker, size, number].filter(Boolean).join(" · "))),
    h("span", { class: "again-price" }, price(it.price?.amount, it.price?.currency)),
    add);
}
