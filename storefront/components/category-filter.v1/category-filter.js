// The categories below this one.
import { h } from "../../shop/dom.js";
import { count } from "../../shop/format.js";
import { categoryPath } from "../../shop/routes.js";

export function render({ children }) {
  if (!children?.length) return null;
  return h("nav", { class: "below", "aria-label": "Narrower" }, h("ul", {}, ...children.slice(0, 8).map(({ id, name, productCount }) => h("li", {}, h("a", { href: categoryPath(id) }, name, " ", h("span", { class: "quiet" }, count(productCount)))))));
}
