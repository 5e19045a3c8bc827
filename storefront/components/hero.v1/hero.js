// One product in a large picture.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { naming, price } from "../../shop/format.js";
import { put } from "../../shop/layouts.js";
import { productPath } from "../../shop/routes.js";

export function render({ hero }, page) {
  const [it] = hero?.products ?? [];
  if (!it) return null;
  const { title, size, maker } = naming(it);
  const said = h("p", { class: "said", role: "status" });
  const add = h("button", { class: "button is-plain", type: "button", onClick: () => put(page, it, 1, add, said) }, "Add to basket");
  return page.shelved(
    h("section", { class: "hero-one", "aria-label": "Today's pick" },
      h("div", { class: "hero-one-text" },
        h("p", { class: "eyebrow" }, "Today's pick"),
        h("h2", {}, title),
        h("p", { class: "hero-one-size" }, [maker, size].filter(Boolean).join(" · ")),
        h("p", { class: "hero-one-price" }, price(it.price?.amount, it.price?.currency)),
        h("p", { class: "hero-one-ways" }, h("a", { class: "button", href: productPath(it.id) }, "Look closer", h("span", { class: "visually-hidden" }, ` at ${title}`)), add),
        said),
      h("div", { class: "hero-one-picture" }, art(it))),
    hero.decision,
  );
}
