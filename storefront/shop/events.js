// What a page saw happen: told to POST /events by beacons, which survive the end of the page.
//
// A piece of the page is marked with the decisions and the exposure behind it. It counts as seen when half of it (or
// half of the screen) was visible for a second. How long it was visible is told when it goes.
import { Trace } from "./trace.js";

const ENDPOINT = "/events";
const SEEN_AFTER_MS = 1000;
const FLUSH_AFTER_MS = 200;
const MOST_AT_ONCE = 50;
const LEAST_MORE_S = 1;
const LONGEST_S = 86400;

const evidence = new WeakMap();
const told = new Set();
const waiting = [];
const watched = new Map();
const times = new Map();
let flushing = null;
let trace = null;

/** Say in which trace a page is that begins now. What was seen before is told with the trace before. */
export function beginPage(page) {
  tellTimes();
  flush();
  told.clear();
  times.clear();
  for (const element of watched.keys()) observer.unobserve(element);
  watched.clear();
  trace = page;
}

/**
 * Mark an element with what is behind it, and tell when it is seen. Either may be null. An element may be marked twice:
 * a component was chosen by one decision, and what is in it by another.
 */
export function mark(element, { decisionId = null, exposureId = null }) {
  const behind = evidence.get(element) ?? { decisions: [], exposures: [] };
  if (decisionId) behind.decisions.push(decisionId);
  if (exposureId) behind.exposures.push(exposureId);
  evidence.set(element, behind);
  if (exposureId && once("rendered", exposureId)) report({ type: "rendered", exposureId });
  if ((decisionId || exposureId) && !watched.has(element)) {
    watched.set(element, { since: null, timer: null, total: 0 });
    observer.observe(element);
  }
}

/** The decisions behind an element: its own and those of all that it stands in. */
export function decisionsAt(element) {
  const found = [];
  for (let at = element; at; at = at.parentElement) {
    found.push(...(evidence.get(at)?.decisions ?? []));
  }
  return found;
}

/**
 * Tell of something; the id under which it is told, so that a tag may tell of the same. What a decision led to on a later
 * page is told in the trace of the page that showed it: so a trace leads from there to the reward.
 */
export function report(event, traceId = trace?.id) {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  waiting.push({ traceId, event: { id, at: new Date().toISOString(), ...event } });
  if (waiting.length >= MOST_AT_ONCE) flush();
  else flushing ??= setTimeout(flush, FLUSH_AFTER_MS);
  return id;
}

/** Send what waits. */
export function flush() {
  clearTimeout(flushing);
  flushing = null;
  if (!waiting.length) return;
  const traces = Map.groupBy(waiting.splice(0, waiting.length), ({ traceId }) => traceId);
  for (const [traceId, told] of traces) {
    const address = traceId ? `${ENDPOINT}?traceparent=${new Trace(traceId).parent()}` : ENDPOINT;
    const events = JSON.stringify(told.map(({ event }) => event));
    if (!navigator.sendBeacon(address, events)) fetch(address, { method: "POST", body: events, keepalive: true }).catch(() => {});
  }
}

/** The trace of the page that is shown. */
export const currentTrace = () => trace;

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
  const { decisions, exposures } = evidence.get(element);
  for (const exposureId of exposures) if (once("seen", exposureId)) report({ type: "seen", exposureId });
  for (const decisionId of decisions) if (once("displayed", decisionId)) report({ type: "displayed", decisionId });
}

function pause(state) {
  clearTimeout(state.timer);
  if (state.since !== null) state.total += performance.now() - state.since;
  state.since = null;
}

/** How long what was seen was before the viewer's eyes until now: once for each decision, and again only if it grew. */
function tellTimes() {
  for (const [element, state] of watched) {
    pause(state);
    const seconds = Math.min(Math.round(state.total / 100) / 10, LONGEST_S);
    for (const decisionId of evidence.get(element).decisions) {
      if (!told.has(`displayed/${decisionId}`) || seconds < (times.get(decisionId) ?? 0) + LEAST_MORE_S) continue;
      times.set(decisionId, seconds);
      report({ type: "displayed", decisionId, durationS: seconds });
    }
  }
}

function leave() {
  tellTimes();
  flush();
}

addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") return leave();
  for (const element of watched.keys()) {
    observer.unobserve(element);
    observer.observe(element);
  }
});
addEventListener("pagehide", leave);
