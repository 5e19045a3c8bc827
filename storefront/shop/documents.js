// Documents of pages: one query a page, made of the fragments of the versions in play.
//
// A page's own part is a template. `[[name]]` in it becomes a spread of the fragment of that component, and the line
// goes where the component is not in play. Components on `Query` stand at the root, where `[[*]]` is. The text depends
// on the versions only, so that each of a page's documents has one hash and can be a trusted document.

/** Which versions of the components of a page this viewer gets, who decided, and how. */
export const VERSIONS = `query Versions($page: String!, $context: Context) {
  components(page: $page, context: $context) {
    name version enabled reason mode decidedBy values
    decision { id action probability policy mode }
    exposure { id variant }
  }
  segment(context: $context) { persona segment mode reason }
}`;

export const ADD = `mutation Add($productId: ID!, $quantity: Int!, $basketId: ID) {
  addToBasket(productId: $productId, quantity: $quantity, basketId: $basketId) { id units amount currency }
}`;

export const POPULAR = `query Popular { catalog(first: 8) { nodes { id } } }`;

const TILES = `products { id name size
[[product-tile]]
[[coupons]] }`;

const shelf = (has, placement, first) => !has("shelf") ? "" : `  ... @defer(label: "shelf") { shelf: recommendations(placement: ${placement}, first: ${first}, context: $context) {
    decision { id action probability policy mode reason }
    ${TILES}
[[shelf]]
  } }`;

const BASKET = `  basket(id: $basketId) @include(if: $hasBasket) { id units amount currency
[[basket-drawer]]
  }`;

const LIST = `nodes { id name size
[[product-tile]] }
    pageInfo { hasNextPage endCursor } totalCount
[[category-filter on ProductConnection]]`;

/** Of each page: its variables beside those of the fragments, and its template. */
const TEMPLATES = {
  home: [{}, (has) => `[[*]]
${BASKET}
${shelf(has, "HOME", 12)}`],
  category: [
    { category: "ID!", sort: "ProductSort!", after: "String" },
    (has) => `[[*]]
${BASKET}
  category(id: $category) { id name productCount parent { id name parent { id } } children { id name productCount }
[[category-filter on Category]]
  }
  catalog(category: $category, sort: $sort, first: 24, after: $after) { ${LIST} }
${shelf(has, "CATEGORY", 8)}`,
  ],
  search: [
    { words: "String!", sort: "ProductSort!", after: "String" },
    () => `[[*]]
${BASKET}
  catalog(search: $words, sort: $sort, first: 24, after: $after) { ${LIST} }`,
  ],
  product: [
    { id: "ID!" },
    (has) => `[[*]]
${BASKET}
  product(id: $id) { id name brand description size popularity
    category { id name parent { id name } }
    price { amount listAmount currency }
    stock { available units }
[[coupons]]
[[reviews]]
  }
${shelf(has, "CATEGORY", 8)}`,
  ],
  basket: [
    {},
    (has) => `[[*]]
  basket(id: $basketId) @include(if: $hasBasket) { id units amount currency
    lines { productId quantity unitAmount amount product { id name brand size stock { units }
[[coupons]] } }
  }
${shelf(has, "BASKET", 8)}`,
  ],
  reorder: [{}, () => `[[*]]\n${BASKET}`],
  bulk: [{}, () => `[[*]]\n${BASKET}`],
  team: [{}, () => `[[*]]\n${BASKET}`],
};

/**
 * The document of a page for the versions in play, and the names of its variables.
 *
 * `inPlay` are entries of `components.json`. What each fragment stands on is read from its own first line.
 */
export function document(page, inPlay) {
  const [own, template] = TEMPLATES[page];
  const used = new Map();
  const text = template((name) => inPlay.some((each) => each.name === name))
    .split("\n")
    .filter((line) => line.trim())
    .flatMap((line) => filled(line, inPlay, used))
    .join("\n");
  const fragments = Array.from(used.values());
  const declared = { context: "Context", basketId: "ID!", hasBasket: "Boolean!", ...own };
  for (const each of fragments) Object.assign(declared, each.variables);
  const names = Object.keys(declared)
    .filter((name) => new RegExp(`\\$${name}\\b`).test(text + fragments.map((each) => each.fragment).join("\n")))
    .sort();
  const head = names.map((name) => `$${name}: ${declared[name]}`).join(", ");
  const title = `query ${page[0].toUpperCase()}${page.slice(1)}Page(${head}) {`;
  return { text: [title, text, "}", ...fragments.map((each) => each.fragment.trim())].join("\n"), names };
}

/** The type that a version's fragment stands on. */
export const standsOn = (version) => /\bon (\w+)/.exec(version.fragment)[1];

function filled(line, inPlay, used) {
  const found = /^\[\[(\S+?)(?: on (\w+))?\]\](.*)$/.exec(line);
  if (!found) return [line];
  const [, name, type, rest] = found;
  const wanted = inPlay.filter((each) =>
    name === "*" ? standsOn(each) === "Query" && each.name !== "search" : each.name === name && (!type || standsOn(each) === type),
  );
  for (const each of wanted) used.set(each.fragmentName, each);
  const spreads = wanted.map((each) => `  ...${each.fragmentName}`);
  return rest.trim() ? [...spreads, rest] : spreads;
}

/** What the search box asks while one types. */
export function suggestions(version) {
  return `query Suggestions($search: String) { ...${version.fragmentName} }\n${version.fragment.trim()}`;
}

/** What the drawer asks when it opens. */
export function drawer(version) {
  return `query Drawer($basketId: ID!) { basket(id: $basketId) { ...${version.fragmentName} } }\n${version.fragment.trim()}`;
}
