// Which page an address shows.
const ROUTES = [
  ["home", /^\/$/],
  ["category", /^\/category\/([^/]+)$/],
  ["search", /^\/search$/],
  ["product", /^\/product\/([^/]+)$/],
  ["basket", /^\/basket$/],
  ["reorder", /^\/reorder$/],
  ["bulk", /^\/bulk$/],
  ["team", /^\/team$/],
];

/** `{name, id, query}` of an address: the page's name, the id in it if it has one, and its search parameters. */
export function route(url) {
  for (const [name, pattern] of ROUTES) {
    const found = pattern.exec(url.pathname);
    if (found) return { name, id: found[1] ? decodeURIComponent(found[1]) : null, query: url.searchParams };
  }
  return null;
}

export const productPath = (id) => `/product/${encodeURIComponent(id)}`;
export const categoryPath = (id) => `/category/${encodeURIComponent(id)}`;
