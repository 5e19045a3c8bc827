// The departments in a row.
import { h } from "../../shop/dom.js";
import { categoryPath } from "../../shop/routes.js";

export function render({ categories }) {
  if (!categories?.length) return null;
  const here = decodeURIComponent(location.pathname);
  const departments = categories.filter(({ parent }) => parent && !parent.parent);
  return h("nav", { class: "departments", "aria-label": "Departments" },
    h("ul", {}, ...departments.map(({ id, name }) => h("li", {}, h("a", { href: categoryPath(id), "aria-current": here === `/category/${id}` ? "page" : null }, name)))));
}
