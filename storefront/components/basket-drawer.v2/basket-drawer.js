// The basket beside the page, with sums by brand.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { counted, naming, price } from "../../shop/format.js";

export function render(data, page) {
  const inside = h("div", {});
  const close = h("button", { type: "button", class: "drawer-close", "aria-label": "Close the basket", onClick: () => dialog.close() }, "×");
  const dialog = h("dialog", { class: "drawer", "aria-labelledby": "drawer-title", onClick: (event) => event.target === dialog && dialog.close() }, h("div", { class: "drawer-head" }, h("h2", { id: "drawer-title" }, "Basket"), close), inside);
  const fill = (it) => inside.replaceChildren(...contents(it, () => dialog.close()));
  fill(data);
  dialog.present = async () => {
    dialog.showModal();
    const fresh = await page.freshBasket().catch(() => null);
    if (fresh) fill(fresh);
  };
  return dialog;
}

function contents(it, close) {
  if (!it.lines?.length) return [h("p", { class: "quiet" }, "Nothing in it yet.")];
  return [
    h("ul", { class: "drawer-lines" }, ...it.lines.map((line) => row(line, it.currency))),
    byBrand(it.lines, it.currency),
    h("p", { class: "drawer-sum" }, h("span", {}, counted(it.units, "unit")), h("strong", {}, price(it.amount, it.currency))),
    h("p", {}, h("a", { class: "button is-wide", href: "/basket", onClick: close }, "To the basket")),
  ];
}

function row({ quantity, product, productId, amount }, currency) {
  const it = product ?? { id: productId, name: productId };
  const { title, size, maker } = naming(it);
  const left = it.stock?.units;
  return h("li", {}, art(it), h("span", {}, h("strong", {}, title), h("span", { class: "quiet" }, [maker, size, left !== null && left !== undefined && `${left} in stock`].filter(Boolean).join(" · "))), h("span", {}, `${quantity}×`, h("span", { class: "quiet" }, price(amount, currency))));
}

function byBrand(lines, currency) {
  const brands = Map.groupBy(lines, ({ product }) => naming(product ?? { name: "" }).maker ?? product?.brand ?? "Others");
  const sum = (each) => each.reduce((total, { amount }) => total + Number(amount), 0);
  return h("dl", { class: "drawer-brands" }, ...Array.from(brands, ([brand, each]) => h("div", {}, h("dt", {}, brand), h("dd", {}, price(sum(each), currency)))));
}
