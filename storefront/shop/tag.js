// A tag as shops have it from Google Analytics: a queue that pages push into, sent to the gateway's own collector.
import { currentTrace } from "./events.js";
import { Trace } from "./trace.js";

const COLLECTOR = "/events/ga4/g/collect";
const STREAM = "G-LINDEN";

const client = localStorage.getItem("tag-client") ?? `${Math.floor(Math.random() * 2 ** 31)}.${Math.floor(Date.now() / 1000)}`;
localStorage.setItem("tag-client", client);
const page = Math.floor(Math.random() * 2 ** 31);
let hits = 0;

window.dataLayer = window.dataLayer ?? [];
const queued = window.dataLayer.splice(0);
window.dataLayer.push = (...commands) => {
  for (const command of commands) run(Array.from(command));
  return commands.length;
};

/** What a page calls, as with gtag.js. */
export function gtag() {
  window.dataLayer.push(arguments);
}
window.gtag = gtag;
gtag("js", new Date());
for (const command of queued) window.dataLayer.push(command);

/** An event of the tag, in the trace of the page that led there. */
export function tagged(name, parameters, traceId) {
  gtag("event", name, { ...parameters, trace_id: traceId });
}

function run([command, name, parameters = {}]) {
  if (command !== "event") return;
  const { items = [], trace_id: traceId = currentTrace()?.id, ...own } = parameters;
  const hit = new URLSearchParams({ v: "2", tid: STREAM, cid: client, _p: page, _s: ++hits, dl: location.origin + location.pathname, en: name });
  for (const [key, value] of Object.entries(own)) if (value) hit.set(`${typeof value === "number" ? "epn" : "ep"}.${key}`, value);
  items.forEach((item, place) => hit.set(`pr${place + 1}`, written(item)));
  if (traceId) hit.set("traceparent", new Trace(traceId).parent());
  const address = `${COLLECTOR}?${hit}`;
  if (!navigator.sendBeacon(address)) fetch(address, { method: "POST", keepalive: true }).catch(() => {});
}

function written({ item_id: id, quantity, decision_id: decision }) {
  return [`id${id}`, quantity && `qt${quantity}`, decision && `k0decision_id~v0${decision}`].filter(Boolean).join("~");
}
