// A whole order at once, with what is left in stock.
import { announce, h } from "../../shop/dom.js";
import { counted, naming, price } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

const USUAL = 6;

export function render({ reorderAll }, page) {
  const products = (reorderAll?.products ?? []).slice(0, 12);
  if (!products.length) return null;
  const rows = products.map((it) => ({ it, box: h("input", { type: "number", min: 0, max: Math.min(99, it.stock?.units ?? 99), value: Math.min(USUAL, it.stock?.units ?? USUAL), inputmode: "numeric", "aria-label": `Units of ${it.name}` }) }));
  const sum = h("output", { class: "whole-sum" });
  const add = h("button", { class: "button", type: "submit" }, "Order all of it");
  const tell = () => (sum.textContent = price(rows.reduce((total, { it, box }) => total + Number(it.price?.amount ?? 0) * Number(box.value || 0), 0)));
  tell();
  const form = h("form", { class: "whole", "aria-labelledby": "whole", onInput: tell },
    h("div", { class: "whole-head" }, h("h2", { id: "whole" }, "The usual order"), h("p", { class: "quiet" }, "A box of each; change what you need.")),
    h("ul", {}, ...rows.map(({ it, box }) => row(it, box))),
    h("div", { class: "whole-foot" }, sum, add));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    add.disabled = true;
    let units = 0;
    const failed = [];
    for (const { it, box } of rows) {
      const quantity = Number(box.value || 0);
      if (!quantity) continue;
      await page.add(it.id, quantity, form).then(() => (units += quantity), () => failed.push(naming(it).title));
    }
    announce(failed.length ? `${counted(units, "unit")} added; not to be had: ${failed.join(", ")}` : `${counted(units, "unit")} added`);
    add.disabled = false;
  });
  return page.shelved(form, reorderAll.decision);
}

function row(it, box) {
  const { title, size, maker } = naming(it);
  const left = it.stock?.units;
  return h("li", {}, h("div", {}, h("a", { href: productPath(it.id) }, title), h("p", { class: "quiet" }, [maker, size].filter(Boolean).join(" · "))), h("span", { class: "quiet" }, left === null || left === undefined ? "in stock" : `${left} left`), h("span", { class: "whole-price" }, price(it.price?.amount, it.price?.currency)), box);
}
