// The downline dashboard as a tree of departments, with what to recommend next.
import { art } from "../../shop/art.js";
import { h, s } from "../../shop/dom.js";
import { count, naming } from "../../shop/format.js";
import { categoryPath, productPath } from "../../shop/routes.js";

const BRANCHES = 7;
const ROW = 34;
const WIDTH = 560;

export function render({ teamTree, teamDepartments, teamNext }, page) {
  if (!teamDepartments?.length) return null;
  return page.shelved(
    h("section", { class: "tree", "aria-labelledby": "tree" },
      h("div", { class: "tree-head" }, h("h2", { id: "tree" }, "What your team can sell"), h("p", { class: "quiet" }, `Products in each department${teamTree?.key ? `, segment ${teamTree.key}` : ""}`)),
      drawing(teamDepartments),
      teamNext?.products?.length ? next(teamNext.products) : null),
    teamNext?.decision,
  );
}

/** The departments as branches as thick as what is in them; a list of the same stands beside it for those who listen. */
function drawing(categories) {
  const tops = new Set(categories.filter(({ parent }) => !parent).map(({ id }) => id));
  const branches = categories.filter(({ parent }) => parent && tops.has(parent.id)).sort((a, b) => b.productCount - a.productCount).slice(0, BRANCHES);
  const most = branches[0]?.productCount ?? 1;
  const height = branches.length * ROW;
  const middle = height / 2;
  const limbs = branches.flatMap(({ productCount }, place) => {
    const y = place * ROW + ROW / 2;
    return [
      s("path", { d: `M30 ${middle} C 110 ${middle} 90 ${y} 190 ${y}`, class: "tree-limb", "stroke-width": 1.5 + (productCount / most) * 9 }),
      s("rect", { x: 190, y: y - 9, width: Math.max(6, (productCount / most) * (WIDTH - 200)), height: 18, rx: 9, class: "tree-leaf" }),
    ];
  });
  return h("div", { class: "tree-drawn" },
    s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true", focusable: "false", preserveAspectRatio: "none" }, ...limbs, s("circle", { cx: 26, cy: middle, r: 14, class: "tree-root" })),
    h("ul", {}, ...branches.map(({ id, name, productCount }) => h("li", {}, h("a", { href: categoryPath(id) }, name), h("span", {}, count(productCount))))));
}

function next(products) {
  return h("div", { class: "tree-next" }, h("h3", {}, "Talk about these next"), h("ul", {}, ...products.map((it) => h("li", {}, h("a", { href: productPath(it.id) }, art(it), h("span", {}, naming(it).title), h("span", { class: "quiet" }, `${it.popularity}×`))))));
}
