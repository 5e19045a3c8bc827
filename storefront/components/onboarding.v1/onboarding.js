// First steps for visitors: the departments.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { counted } from "../../shop/format.js";
import { categoryPath } from "../../shop/routes.js";

export function render({ firstSteps }) {
  const departments = (firstSteps ?? []).filter(({ parent }) => parent && !parent.parent).sort((a, b) => b.productCount - a.productCount);
  if (!departments.length) return null;
  return h("section", { class: "first", "aria-labelledby": "first" },
    h("h2", { id: "first" }, "Where would you like to begin?"),
    h("ul", { class: "first-list" }, ...departments.slice(0, 6).map(({ id, name, productCount }) => h("li", {}, h("a", { href: categoryPath(id) }, art({ name: SHOWN[name] ?? name }), h("strong", {}, name), h("span", { class: "quiet" }, counted(productCount, "product")))))));
}

// What stands for a department, where its own name is no product.
const SHOWN = { "Oral Hygiene": "Toothpaste", "Soap, Liquid & Bar": "Bar Soap", Deodorants: "Deodorant", Shaving: "Razor", "Hand, Body & Face": "Hand Lotion", "Makeup & Treatment": "Makeup", "Fitness & Diet": "Fitness Bar", "Hair Care": "Shampoo" };
