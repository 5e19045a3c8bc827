// What a page saw happen: told to POST /events by beacons, which survive the end of the page.
//
// A piece of the page is marked with the decisions and the exposure behind it. It counts as seen when half of it (or
// half of the screen) was visible for a second. How long it was visible is told when it goes.
const ENDPOINT = "/events";
const SEEN_AFTER_MS = 1000;
const FLUSH_AFTER_MS = 200;
const MOST_AT_ONCE = 50;

const evidence = new WeakMap();
const told = new Set();
const waiting = [];
const watched = new Map();
let flushing = null;
let traceOf = () => null;

/** Say which trace events belong to from now on. What was seen before is told with the trace before. */
export function beginPage(trace) {
  flush();
  told.clear();
  for (const element of watched.keys()) observer.unobserve(element);
  watched.clear();
  traceOf = () => trace;
}

/** Mark an element with what is behind it, and tell when it is seen. `decisionId` and `exposureId` may be null. */
export function mark(element, { decisionId = null, exposureId = null }) {
  evidence.set(element, { decisionId, exposureId });
  if (exposureId && once("rendered", exposureId)) report({ type: "rendered", exposureId });
  if (decisionId || exposureId) {
    watched.set(element, { since: null, timer: null, total: 0 });
    observer.observe(element);
  }
}

/** The decisions behind an element: its own and those of all that it stands in. */
export function decisionsAt(element) {
  const found = [];
  for (let at = element; at; at = at.parentElement) {
    const behind = evidence.get(at);
    if (behind?.decisionId) found.push(behind.decisionId);
  }
  return found;
}

/** Tell of something; the id under which it is told, so that a tag may tell of the same. */
export function report(event) {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  waiting.push({ id, at: new Date().toISOString(), ...event });
  if (waiting.length >= MOST_AT_ONCE) flush();
  else flushing ??= setTimeout(flush, FLUSH_AFTER_MS);
  return id;
}

/** Send what waits. */
export function flush() {
  clearTimeout(flushing);
  flushing = null;
  if (!waiting.length) return;
  const trace = traceOf();
  const address = trace ? `${ENDPOINT}?traceparent=${trace.parent()}` : ENDPOINT;
  const events = JSON.stringify(waiting.splice(0, waiting.length));
  if (!navigator.sendBeacon(address, events)) fetch(address, { method: "POST", body: events, keepalive: true }).catch(() => {});
}

const once = (what, id) => !told.has(`${what}/${id}`) && told.add(`${what}/${id}`);

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, intersectionRatio, intersectionRect, rootBounds } of entries) {
      const state = watched.get(target);
      if (!state) continue;
      const half = intersectionRatio >= 0.5 || intersectionRect.height >= (rootBounds?.height ?? innerHeight) / 2;
      if (half && state.since === null) {
        state.since = performance.now();
        state.timer = setTimeout(() => seen(target), SEEN_AFTER_MS);
      } else if (!half) pause(state);
    }
  },
  { threshold: [0, 0.25, 0.5, 0.75, 1] },
);

function seen(element) {
  const { decisionId, exposureId } = evidence.get(element);
  if (exposureId && once("seen", exposureId)) report({ type: "seen", exposureId });
  if (decisionId && once("displayed", decisionId)) report({ type: "displayed", decisionId });
}

function pause(state) {
  clearTimeout(state.timer);
  if (state.since !== null) state.total += performance.now() - state.since;
  state.since = null;
}

addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") flush();
});
addEventListener("pagehide", flush);
