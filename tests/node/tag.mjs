// A tag as gtag.js sends, without the rest of it: `node tag.mjs SERVER_CONTAINER_URL DECISION_ID EXPOSURE_ID`.
// Sends hits in the query, a batch of them in the body and a measurement, keeping the cookie as a browser would, and then
// more than one session may. Prints one JSON object: the status of each answer, and when to come again.
const [server, decisionId, exposureId] = process.argv.slice(2);
if (!server || !decisionId || !exposureId) {
  console.error("usage: node tag.mjs SERVER_CONTAINER_URL DECISION_ID EXPOSURE_ID");
  process.exit(2);
}

const SHORT = { item_id: "id", item_name: "nm", item_brand: "br", price: "pr", quantity: "qt" };
const page = { v: 2, tid: "G-PERSONA001", _p: Date.now(), cid: "1415183184.1638542841", sid: "1732451200", dt: "A · B" };
let cookie = null;
let sent = 0;

const form = (fields) =>
  Object.entries(fields).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");

function item(fields) {
  const own = Object.entries(fields).filter(([name]) => !(name in SHORT));
  return [
    ...Object.entries(fields).filter(([name]) => name in SHORT).map(([name, value]) => SHORT[name] + value),
    ...own.flatMap(([name, value], place) => [`k${place}${name}`, `v${place}${value}`]),
  ].join("~");
}

function event(name, { items = [], ...params }) {
  const products = items.map((each, place) => [`pr${place + 1}`, item(each)]);
  const given = Object.entries(params).map(([key, value]) => [
    `${typeof value === "number" ? "epn" : "ep"}.${key}`,
    value,
  ]);
  return form({ en: name, ...Object.fromEntries(products), ...Object.fromEntries(given), _et: 12 });
}

async function post(address, body) {
  const headers = cookie ? { cookie } : {};
  const response = await fetch(address, { method: "POST", body, headers, keepalive: true });
  cookie = response.headers.get("set-cookie")?.split(";")[0] ?? cookie;
  return response;
}

const hit = (...events) => {
  const shared = form({ ...page, _s: ++sent });
  return events.length === 1
    ? post(`${server}/g/collect?${shared}&${events[0]}`)
    : post(`${server}/g/collect?${shared}`, events.join("\r\n"));
};

const paste = { item_id: "4711", item_name: "Tooth paste ~ 75 ml", price: 2.79, quantity: 2 };
const shelf = event("view_item_list", { items: [paste], decision_id: decisionId, exposure_id: exposureId });
const statuses = { hit: (await hit(shelf)).status };
const batch = [
  event("view_item", { items: [paste], decision_id: decisionId }),
  event("scroll", { percent_scrolled: 90 }),
  event("add_to_cart", { items: [{ ...paste, decision_id: decisionId }], value: 5.58 }),
];
statuses.batch = (await hit(...batch)).status;
sent -= 1; // the browser sends the same request once more
statuses.again = (await hit(...batch)).status;
const purchase = { transaction_id: "T-1", decision_id: decisionId, items: [paste] };
const measured = JSON.stringify({ client_id: page.cid, events: [{ name: "purchase", params: purchase }] });
statuses.measurement = (await post(`${server}/mp/collect?measurement_id=${page.tid}`, measured)).status;
statuses.empty = (await post(`${server}/g/collect?${form(page)}`)).status;

const lines = Array.from({ length: 100 }, () => event("scroll", {}));
const limited = await hit(...lines);
console.log(
  JSON.stringify({ statuses, limited: { status: limited.status, retryAfter: limited.headers.get("retry-after") } }),
);
