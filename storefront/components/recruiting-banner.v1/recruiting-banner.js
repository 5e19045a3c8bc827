// Material for inviting new sellers: products that sell by themselves.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { naming } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

export function render({ recruiting }) {
  const products = recruiting?.nodes ?? [];
  if (!products.length) return null;
  return h("aside", { class: "invite", "aria-label": "For your invitations" },
    h("div", {}, h("p", { class: "eyebrow" }, "For your invitations"), h("h2", {}, "They sell by themselves")),
    h("ul", {}, ...products.map((it) => h("li", {}, h("a", { href: productPath(it.id) }, art(it), h("span", {}, naming(it).title, h("span", { class: "quiet" }, `bought ${it.popularity} times`)))))));
}
