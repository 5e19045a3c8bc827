// What stands where on each page. Components come from the gateway; what they are put into is the shop's own.
import { art } from "./art.js";
import { basket, led } from "./basket.js";
import { announce, h } from "./dom.js";
import { report } from "./events.js";
import { freeDeliveryFrom } from "./flags.js";
import { counted, discount, naming, personaName, price } from "./format.js";
import { categoryPath } from "./routes.js";
import { tagged } from "./tag.js";
import { viewer } from "./viewer.js";

const GREETINGS = {
  VISITOR: ["Everyday care, chosen well", "Two thousand things for hair, skin and teeth, from people who use them themselves."],
  DIRECT_CUSTOMER: ["Good to see you again", "What you like, what goes with it, and what others came back for."],
  CONSULTANT: ["Who are you shopping for?", "Pick a customer and put their order together in a minute."],
  SHOP_OWNER: ["Fill your shelves", "Quantities, what a unit costs and how many there are, on one pad."],
  BUILDER: ["Your team, this period", "What sells by itself, and what to show to those who begin."],
};
const DESKS = { CONSULTANT: ["/reorder", "Reorder desk"], SHOP_OWNER: ["/bulk", "Bulk pad"], BUILDER: ["/team", "My team"] };
const DELIVERY = "4.90";
const SORT_NAMES = { RELEVANCE: "Best match", POPULAR: "Most bought", PRICE_ASC: "Price, low to high", PRICE_DESC: "Price, high to low", NAME: "Name" };

/** The head of every page: search, departments, the desk of a persona, the basket. */
export function masthead(page) {
  document.getElementById("search").replaceChildren(...[page.piece("search", page.data)].filter(Boolean));
  document.getElementById("navigation").replaceChildren(...[page.piece("navigation")].filter(Boolean));
  const desk = DESKS[page.persona];
  const drawer = page.has("basket-drawer") ? page.piece("basket-drawer", page.data.basket ?? { lines: [], units: 0, amount: "0" }) : null;
  const here = (path) => (location.pathname === path ? "page" : null);
  const tools = [
    h("span", { class: "who" }, personaName(page.persona), viewer.customerId ? ` ${viewer.customerId}` : ""),
    desk && h("a", { class: "desk", href: desk[0], "aria-current": here(desk[0]) }, desk[1]),
    h(
      "a",
      { class: "basket-link", href: "/basket", "aria-current": here("/basket"), onClick: drawer ? (event) => (event.preventDefault(), drawer.present()) : null },
      "Basket ",
      basketCount(page.data.basket?.units ?? 0),
    ),
    drawer,
  ];
  document.getElementById("tools").replaceChildren(...tools.filter(Boolean));
}

function basketCount(units) {
  const badge = h("span", { class: "basket-count", id: "basket-count" }, String(units), h("span", { class: "visually-hidden" }, units === 1 ? " unit" : " units"));
  badge.classList.toggle("is-empty", !units);
  return badge;
}

addEventListener("basket", ({ detail }) => document.getElementById("basket-count")?.replaceWith(basketCount(detail.units)));

/** Each page's title and the sections in it. */
export const layouts = { home, category, search, product, basket: basketPage, reorder, bulk, team };

function home(page) {
  const [title, text] = GREETINGS[page.persona];
  const works = ["team-page", "bulk-pad", "quick-reorder"].map((name) => page.piece(name)).filter(Boolean);
  const showing = [page.piece("hero"), page.piece("onboarding")].filter(Boolean);
  return {
    title: "Linden",
    body: [
      h("div", { class: "greeting" }, h("h1", {}, title), h("p", {}, text)),
      works.length ? h("div", { class: "workplace" }, ...works, ...showing) : null,
      ...(works.length ? [] : showing),
      shelf(page),
    ],
  };
}

function category(page) {
  const { category: here, catalog } = page.data;
  if (!here) return gone("There is no such department");
  return {
    title: here.name,
    body: [
      h("nav", { class: "trail", "aria-label": "Where you are" }, h("a", { href: "/" }, "Shop"), here.parent && h("a", { href: categoryPath(here.parent.id) }, here.parent.name)),
      h("div", { class: "list-head" }, h("h1", {}, here.name), h("p", { class: "quiet" }, counted(here.productCount, "product"))),
      page.piece("recruiting-banner"),
      list(page, catalog, here),
      shelf(page),
    ],
  };
}

function search(page) {
  const words = page.route.query.get("q") ?? "";
  const found = page.data.catalog;
  return {
    title: words ? `Search: ${words}` : "Search",
    body: [
      h("div", { class: "list-head" }, h("h1", {}, words ? `Results for “${words}”` : "Everything"), found ? h("p", { class: "quiet" }, counted(found.totalCount ?? found.nodes.length, "product")) : null),
      found && !found.nodes.length ? h("p", { class: "notice" }, "Nothing matches. Try fewer words, or a department above.") : list(page, found, null),
    ],
  };
}

/** A list of products with its filters, its order and what follows. */
function list(page, catalog, here) {
  if (!catalog) return h("p", { class: "notice" }, "The list cannot be shown right now.");
  const tiles = h("ul", { class: "tiles" }, ...catalog.nodes.map((each) => tileItem(page, each)));
  const filter = page.piece("category-filter", page.components.get("category-filter")?.version === "v2" ? catalog : here);
  filter?.addEventListener("filter", ({ detail }) => {
    Array.from(tiles.children).forEach((item, place) => (item.hidden = !detail(catalog.nodes[place])));
    announce(`${Array.from(tiles.children).filter((item) => !item.hidden).length} products shown`);
  });
  const current = new URL(location.href).searchParams.get("sort") ?? (page.name === "search" ? "RELEVANCE" : "POPULAR");
  const options = Object.entries(SORT_NAMES).filter(([name]) => name !== "RELEVANCE" || page.name === "search");
  const sort = h("select", { id: "sort", onChange: (event) => page.go(with_({ sort: event.target.value })) }, ...options.map(([name, text]) => h("option", { value: name, selected: name === current }, text)));
  return h("section", { class: "list", "aria-labelledby": "list" }, h("h2", { class: "visually-hidden", id: "list" }, "Products"), h("div", { class: "list-tools" }, filter, h("label", { class: "sort", for: "sort" }, "Sort by ", sort)), tiles, more(page, catalog, tiles));
}

const with_ = (change) => {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
  return url.pathname + url.search;
};

function more(page, catalog, tiles) {
  if (!catalog.pageInfo?.hasNextPage) return null;
  const button = h("button", { class: "button is-quiet", type: "button" }, "Show more");
  button.addEventListener("click", async () => {
    button.disabled = true;
    const next = await page.next(catalog.pageInfo.endCursor);
    if (!next) return void (button.disabled = false);
    catalog.nodes.push(...next.nodes);
    tiles.append(...next.nodes.map((each) => tileItem(page, each)));
    catalog.pageInfo = next.pageInfo;
    announce(`${next.nodes.length} more products`);
    button.disabled = false;
    if (!next.pageInfo.hasNextPage) button.remove();
  });
  return h("p", { class: "more" }, button);
}

const tileItem = (page, each) => h("li", {}, page.piece("product-tile", each) ?? plainTile(each));
const plainTile = (each) => h("a", { class: "tile", href: `/product/${encodeURIComponent(each.id)}` }, art(each), h("span", { class: "tile-title" }, naming(each).title));

/** The shelf: its place at once, its products when they come. Nothing moves then. */
function shelf(page) {
  if (!page.has("shelf")) return null;
  const waiting = Array.from({ length: 6 }, () => h("div", { class: "tile is-waiting" }));
  const place = h("section", { class: "shelf-place", "aria-label": "For you", "aria-busy": "true" }, h("div", { class: "shelf-row" }, ...waiting));
  const fill = (answer) => {
    if (page.signal.aborted) return;
    place.removeAttribute("aria-busy");
    const drawn = answer.data?.shelf && page.piece("shelf", answer.data.shelf);
    place.replaceChildren(drawn ?? h("p", { class: "notice" }, "Suggestions are not here today."));
    page.filled?.();
  };
  if (page.data.shelf) fill({ data: page.data });
  else page.rest.then(fill, () => fill({}));
  return place;
}

function product(page) {
  const it = page.data.product;
  if (!it) return gone(page.errors.length ? "This product cannot be shown right now" : "There is no such product");
  const { title, size, maker, number } = naming(it);
  const off = discount(it.price ?? {});
  const quantity = h("input", { id: "quantity", name: "quantity", type: "number", min: 1, max: 99, value: 1, inputmode: "numeric" });
  const said = h("p", { class: "said", role: "status" });
  const form = h("form", { class: "buy", onSubmit: (event) => (event.preventDefault(), put(page, it, Number(quantity.value) || 1, form, said)) }, h("label", { for: "quantity" }, "Quantity"), quantity, h("button", { class: "button", disabled: it.stock?.available === false }, it.stock?.available === false ? "Out of stock" : "Add to basket"));
  for (const [decisionId, traceId] of led.to(it.id)) {
    const id = report({ type: "detail_displayed", decisionId, productId: it.id }, traceId);
    tagged("view_item", { decision_id: decisionId, event_id: id, items: [{ item_id: it.id }] }, traceId);
  }
  const facts = [["Made by", maker], ["Size", size], ["Kind", it.brand], ["Variety", number], ["Bought", it.popularity ? `${it.popularity} times in 2017` : null]];
  return {
    title,
    body: [
      h("nav", { class: "trail", "aria-label": "Where you are" }, h("a", { href: "/" }, "Shop"), it.category?.parent && h("a", { href: categoryPath(it.category.parent.id) }, it.category.parent.name), it.category && h("a", { href: categoryPath(it.category.id) }, it.category.name)),
      h("article", { class: "detail" },
        h("div", { class: "detail-picture" }, art(it)),
        h("div", { class: "detail-text" },
          h("p", { class: "eyebrow" }, maker ?? it.brand ?? "Linden"),
          h("h1", {}, title),
          h("p", { class: "detail-size" }, [size, number].filter(Boolean).join(" · ")),
          h("p", { class: "detail-price" }, h("strong", {}, price(it.price?.amount, it.price?.currency)), off > 0 && h("s", {}, price(it.price.listAmount, it.price.currency)), off > 0 && h("span", { class: "off" }, `${off}% less`)),
          h("p", { class: "stock" }, stockText(it.stock)),
          page.piece("customer-picker"),
          form,
          said,
          page.has("coupons") ? page.piece("coupons", it) : null,
          h("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
          h("p", { class: "quiet" }, it.description))),
      page.piece("bulk-pad"),
      page.piece("reviews", it),
      page.piece("recruiting-banner"),
      shelf(page),
    ],
  };
}

function stockText(stock) {
  if (!stock) return "Stock is not known right now";
  if (!stock.available) return "Out of stock";
  return stock.units !== null && stock.units < 20 ? `Only ${stock.units} left` : "In stock";
}

/** Put a product into the basket and say what came of it. */
export async function put(page, it, quantity, at, said) {
  try {
    const sums = await page.add(it.id, quantity, at);
    const text = `Added. Your basket: ${counted(sums.units, "unit")}, ${price(sums.amount, sums.currency)}.`;
    if (said) said.textContent = text;
    else announce(text);
  } catch (error) {
    if (said) said.textContent = error.message;
    else announce(error.message);
  }
}

function basketPage(page) {
  const it = page.data.basket;
  const lines = it?.lines ?? [];
  if (!lines.length) {
    return { title: "Basket", body: [h("div", { class: "list-head" }, h("h1", {}, "Your basket is empty")), page.piece("customer-picker"), h("p", {}, h("a", { class: "button", href: "/" }, "Look around")), page.piece("quick-reorder"), page.piece("bulk-pad"), shelf(page)] };
  }
  const { costs, note } = delivery(it);
  const buy = h("button", { class: "button is-wide", type: "button", onClick: () => bought(page, it, lines) }, `Order for ${price(it.amount, it.currency)}`);
  return {
    title: "Basket",
    body: [
      h("div", { class: "list-head" }, h("h1", {}, "Your basket"), h("p", { class: "quiet" }, counted(it.units, "unit"))),
      page.piece("customer-picker"),
      h("div", { class: "basket" },
        h("ul", { class: "lines" }, ...lines.map((line) => basketLine(page, line, lines, it.currency))),
        h("section", { class: "sums", "aria-label": "Summary" },
          h("h2", {}, "Summary"),
          h("dl", {}, h("div", {}, h("dt", {}, "Products"), h("dd", {}, price(it.amount, it.currency))), h("div", {}, h("dt", {}, "Delivery"), costs)),
          note,
          buy,
          h("p", { class: "quiet" }, "A demo: nothing is charged or sent."))),
      page.piece("quick-reorder"),
      page.piece("bulk-pad"),
      shelf(page),
    ],
  };
}

/** What delivery costs, which a flag says; written anew when that changes. */
function delivery(it) {
  const costs = h("dd", {});
  const note = h("p", { class: "quiet delivery-note" });
  const tell = () => {
    const missing = (freeDeliveryFrom() ?? Infinity) - Number(it.amount);
    costs.textContent = missing > 0 ? price(DELIVERY, it.currency) : "free";
    note.textContent = missing > 0 && Number.isFinite(missing) ? `${price(missing, it.currency)} more, and delivery is free.` : "";
  };
  tell();
  addEventListener("flags", () => note.isConnected && tell());
  return { costs, note };
}

function basketLine(page, line, lines, currency) {
  const it = line.product ?? { id: line.productId, name: line.productId };
  const { title, size, maker, number } = naming(it);
  const change = async (quantity) => {
    const rest = lines.map((each) => (each === line ? { ...each, quantity } : each)).filter((each) => each.quantity > 0);
    if (quantity > line.quantity) await page.add(it.id, quantity - line.quantity, item);
    else await basket.replace(rest, page.trace);
    announce(quantity ? `${title}: ${quantity}` : `${title} is out of the basket`);
    await page.again();
  };
  const step = (text, name, quantity, more) => h("button", { type: "button", class: "step", "aria-label": `${name} ${title}`, disabled: more, onClick: (event) => ((event.currentTarget.disabled = true), change(quantity).catch((error) => announce(error.message))) }, text);
  const item = h("li", { class: "line" },
    h("a", { class: "line-picture", href: `/product/${encodeURIComponent(it.id)}`, tabindex: -1, "aria-hidden": "true" }, art(it)),
    h("div", {}, h("a", { class: "line-title", href: `/product/${encodeURIComponent(it.id)}` }, title), h("p", { class: "quiet" }, [maker, size, number].filter(Boolean).join(" · ")), page.has("coupons") && it.coupons ? page.piece("coupons", it) : null),
    h("div", { class: "stepper" }, step("−", "One less of", line.quantity - 1), h("span", {}, String(line.quantity)), step("+", "One more of", line.quantity + 1, it.stock?.units !== null && it.stock?.units !== undefined && it.stock.units <= line.quantity)),
    h("p", { class: "line-sum" }, h("strong", {}, price(line.amount, currency)), h("span", { class: "quiet" }, `${price(line.unitAmount, currency)} each`)));
  return item;
}

function bought(page, it, lines) {
  basket.buy(lines);
  const title = h("h1", { tabindex: -1 }, "Thank you");
  document.getElementById("main").replaceChildren(
    h("div", { class: "empty-page" }, title, h("p", {}, `${counted(it.units, "unit")} for ${price(it.amount, it.currency)}. In a shop that sells, they would be on their way now.`), h("p", {}, h("a", { class: "button", href: "/" }, "Back to the shop"))),
  );
  document.title = "Thank you - Linden";
  title.focus();
  announce("Your order is placed");
}

function reorder(page) {
  return desk(page, "Reorder desk", "What your customer orders most, ready to be ordered again.", "quick-reorder", "This desk is for consultants and shop owners", [page.piece("customer-picker")]);
}

function bulk(page) {
  return desk(page, "Bulk pad", "Write down how many of each, and put it all into the basket at once.", "bulk-pad", "This pad is for shop owners");
}

function team(page) {
  return desk(page, "My team", "What your team sells, and what to show to those who begin.", "team-page", "This page is for builders", [], [page.piece("recruiting-banner")]);
}

function desk(page, title, text, name, closed, before = [], after = []) {
  const piece = page.piece(name);
  if (!piece) return gone(closed);
  return { title, body: [h("div", { class: "greeting is-desk" }, h("h1", {}, title), h("p", {}, text)), ...before, piece, ...after] };
}

function gone(title) {
  return { title, body: [h("div", { class: "empty-page" }, h("h1", {}, title), h("p", {}, h("a", { class: "button", href: "/" }, "To the shop")))] };
}
