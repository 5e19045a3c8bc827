// A menu of departments with what is below them, and how much is in each.
import { h } from "../../shop/dom.js";
import { count } from "../../shop/format.js";
import { categoryPath } from "../../shop/routes.js";

const IN_ROW = 8;

export function render({ categories }) {
  if (!categories?.length) return null;
  const below = Map.groupBy(categories, ({ parent }) => parent?.id ?? null);
  const departments = (below.get(null) ?? []).flatMap(({ id }) => below.get(id) ?? []).sort((a, b) => b.productCount - a.productCount);
  const here = decodeURIComponent(location.pathname);
  const link = ({ id, name }) => h("a", { href: categoryPath(id), "aria-current": here === `/category/${id}` ? "page" : null }, name);
  const panel = h("div", { class: "menu-panel", id: "menu-panel", hidden: true }, ...departments.slice(0, 10).map((each) => column(each, below.get(each.id) ?? [])));
  const all = h("button", { type: "button", class: "menu-all", "aria-expanded": "false", "aria-controls": "menu-panel" }, "All departments");
  const open = (is) => {
    panel.hidden = !is;
    all.setAttribute("aria-expanded", String(is));
  };
  all.addEventListener("click", () => open(panel.hidden));
  const nav = h("nav", { class: "menu", "aria-label": "Departments" }, all, h("ul", { class: "menu-row" }, ...departments.slice(0, IN_ROW).map((each) => h("li", {}, link(each)))), panel);
  nav.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    open(false);
    all.focus();
  });
  nav.addEventListener("focusout", (event) => event.relatedTarget && !nav.contains(event.relatedTarget) && open(false));
  return nav;
}

function column({ id, name, productCount }, below) {
  return h("div", {},
    h("a", { class: "menu-department", href: categoryPath(id) }, name, " ", h("span", { class: "quiet" }, count(productCount))),
    h("ul", {}, ...below.slice(0, 5).map((each) => h("li", {}, h("a", { href: categoryPath(each.id) }, each.name)))));
}
