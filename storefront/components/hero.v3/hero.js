// The team: who the viewer is to it, and what to recommend to new sellers.
import { art } from "../../shop/art.js";
import { h } from "../../shop/dom.js";
import { naming, personaName } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

export function render({ heroTeam, heroTeamProducts }, page) {
  const products = heroTeamProducts?.products ?? [];
  if (!products.length) return null;
  const most = Math.max(...products.map((each) => each.popularity), 1);
  return page.shelved(
    h("section", { class: "hero-team", "aria-labelledby": "hero-team" },
      h("p", { class: "eyebrow" }, personaName(heroTeam?.persona)),
      h("h2", { id: "hero-team" }, "Show these first"),
      h("p", {}, "Easy to explain, and asked for again: a good first bag for a new seller."),
      h("ol", { class: "hero-team-list" }, ...products.map((it) => row(it, most)))),
    heroTeamProducts.decision,
  );
}

function row(it, most) {
  const { title, maker, size } = naming(it);
  return h("li", {},
    h("a", { href: productPath(it.id) },
      art(it),
      h("span", {}, h("span", { class: "hero-team-title" }, title), h("span", { class: "hero-team-more" }, [maker, size].filter(Boolean).join(" · ") || it.brand)),
      h("span", { class: "hero-team-sold" }, h("meter", { min: 0, max: most, value: it.popularity, "aria-label": `Bought ${it.popularity} times` }), h("span", { "aria-hidden": "true" }, `${it.popularity}×`))));
}
