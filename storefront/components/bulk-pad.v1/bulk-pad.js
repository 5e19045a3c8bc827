// Quantities for products by their numbers.
import { announce, h } from "../../shop/dom.js";
import { counted, naming, price } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

export function render({ bulk }, page) {
  if (!bulk) return null;
  const rows = bulk.filter(Boolean).map((it) => ({ it, box: h("input", { type: "number", min: 0, max: Math.min(99, it.stock?.units ?? 99), placeholder: "0", inputmode: "numeric", disabled: it.stock?.available === false, "aria-label": `Units of ${it.name}` }) }));
  const sum = h("output", { class: "pad-sum" });
  const add = h("button", { class: "button", type: "submit" }, "Put it all into the basket");
  const chosen = () => rows.map(({ it, box }) => ({ it, box, quantity: Number(box.value || 0) })).filter(({ quantity }) => quantity > 0);
  const tell = () => {
    const all = chosen();
    const units = all.reduce((total, { quantity }) => total + quantity, 0);
    sum.textContent = units ? `${counted(units, "unit")}, ${price(all.reduce((total, { it, quantity }) => total + quantity * Number(it.price?.amount ?? 0), 0))}` : "Nothing chosen yet";
    add.disabled = !units;
  };
  const number = h("input", { id: "pad-number", name: "product", inputmode: "numeric", placeholder: "Product number", autocomplete: "off", size: 12 });
  const more = h("form", { class: "pad-more" }, h("label", { for: "pad-number" }, "Add a line"), number, h("button", { class: "button is-small is-quiet", type: "submit" }, "Add"));
  more.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = number.value.trim();
    if (!id) return;
    page.keepPad([id, ...rows.map(({ it }) => it.id).filter((each) => each !== id)]);
    page.again();
  });
  const form = h("form", { onInput: tell }, h("ul", { class: "pad-list" }, ...rows.map(({ it, box }) => row(it, box))), h("div", { class: "pad-foot" }, sum, add));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    add.disabled = true;
    const failed = [];
    let units = 0;
    for (const { it, box, quantity } of chosen()) {
      await page.add(it.id, quantity, form).then(
        () => ((units += quantity), (box.value = "")),
        () => failed.push(naming(it).title),
      );
    }
    tell();
    sum.textContent = failed.length ? `${counted(units, "unit")} added; not to be had: ${failed.join(", ")}` : `${counted(units, "unit")} added`;
    announce(sum.textContent);
  });
  tell();
  const section = h("section", { class: "pad", "aria-labelledby": "pad" }, h("div", { class: "pad-head" }, h("h2", { id: "pad" }, page.name === "bulk" ? "What you buy" : "Bulk pad"), page.name === "bulk" ? null : h("a", { href: "/bulk" }, "Whole page")), form, more);
  return section;
}

function row(it, box) {
  const { title, size, number } = naming(it);
  return h("li", {}, h("div", {}, h("a", { href: productPath(it.id) }, title), h("p", { class: "quiet" }, [`No. ${it.id}`, size, number].filter(Boolean).join(" · "))), h("span", { class: "pad-price" }, price(it.price?.amount, it.price?.currency)), box);
}
