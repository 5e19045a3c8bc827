// The builder's downline dashboard: what sells best in the team's segment.
import { h } from "../../shop/dom.js";
import { naming, personaName } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

export function render({ team, teamBestsellers }) {
  const products = teamBestsellers?.nodes ?? [];
  if (!products.length) return null;
  const most = products[0].popularity;
  return h("section", { class: "team", "aria-labelledby": "team" },
    h("div", { class: "team-head" }, h("h2", { id: "team" }, "What your team sells"), h("p", { class: "quiet" }, [personaName(team?.persona), team?.key].filter(Boolean).join(", "))),
    h("ol", { class: "team-bars" }, ...products.map((it) => bar(it, most))));
}

function bar(it, most) {
  const { title, maker } = naming(it);
  return h("li", {}, h("a", { href: productPath(it.id) }, title), h("span", { class: "quiet" }, maker), h("meter", { min: 0, max: most, value: it.popularity, "aria-label": `Bought ${it.popularity} times` }), h("span", { class: "team-sold" }, it.popularity));
}
