// GraphQL over HTTP: a document goes by its hash, as a trusted or persisted one, and in full only if it is not known.
import { viewer } from "./viewer.js";

const ENDPOINT = "/graphql";
const hashes = new Map();

/** The gateway refused a request, or could not be reached. `code` is as in docs/errors.md, or `OFFLINE`. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * Ask for one document. Resolves with `{data, extensions, errors, rest}` once the first part is there; `rest` resolves
 * with all of it when what was deferred has come too, at once where nothing was.
 */
export async function ask(document, variables, { trace, signal, deferred = false, explain = false } = {}) {
  const known = await hash(document);
  const extensions = known ? { persistedQuery: { version: 1, sha256Hash: known } } : undefined;
  const send = (query) => request({ query, variables, extensions }, { trace, signal, deferred, explain });
  let answer = await send(known ? undefined : document);
  if (answer.errors?.[0]?.extensions?.code === "PERSISTED_QUERY_NOT_FOUND") answer = await send(document);
  if (answer.data === undefined || answer.data === null) {
    const [error] = answer.errors ?? [{ message: "the answer is empty" }];
    throw new Refused(error.extensions?.code ?? "UNKNOWN", error.message);
  }
  return answer;
}

async function request(body, { trace, signal, deferred, explain }) {
  const headers = { "Content-Type": "application/json", ...viewer.headers() };
  headers.Accept = `${deferred ? "multipart/mixed, " : ""}application/json`;
  if (trace) headers.traceparent = trace.parent();
  if (explain && viewer.token) headers["GraphQL-Cache"] = "explain";
  let response;
  try {
    response = await fetch(ENDPOINT, { method: "POST", headers, body: JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("OFFLINE", "The shop cannot be reached.");
  }
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("multipart/mixed")) return inParts(response.body, /boundary="?([^";]+)/.exec(type)[1]);
  if (!type.includes("json")) throw new Refused("UNKNOWN", `The shop answered with ${response.status}.`);
  const answer = await response.json();
  return { ...answer, rest: Promise.resolve(answer) };
}

/** The first part of an answer now, the rest as a promise of the whole. */
async function inParts(body, boundary) {
  const parts = read(body, boundary);
  const answer = (await parts.next()).value;
  const places = new Map((answer.pending ?? []).map((each) => [each.id, each.path]));
  const rest = (async () => {
    for await (const part of parts) {
      for (const each of part.pending ?? []) places.set(each.id, each.path);
      for (const each of part.incremental ?? []) merge(answer.data, [...(places.get(each.id) ?? []), ...(each.subPath ?? [])], each);
      for (const each of part.completed ?? []) if (each.errors) answer.errors = [...(answer.errors ?? []), ...each.errors];
      if (part.extensions) answer.extensions = { ...answer.extensions, ...part.extensions };
    }
    return answer;
  })();
  rest.catch(() => {});
  return { ...answer, rest };
}

function merge(data, path, { data: more, errors }) {
  const place = path.reduce((at, step) => at?.[step], data);
  if (place && more) deep(place, more);
  return errors;
}

function deep(into, from) {
  for (const [name, value] of Object.entries(from)) {
    if (value && typeof value === "object" && !Array.isArray(value) && into[name]) deep(into[name], value);
    else into[name] = value;
  }
}

async function* read(body, boundary) {
  const delimiter = `\r\n--${boundary}`;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    text += value ?? "";
    for (let end = text.indexOf(delimiter); end >= 0; end = text.indexOf(delimiter)) {
      const start = text.indexOf("\r\n\r\n");
      if (start >= 0 && start < end) yield JSON.parse(text.slice(start + 4, end));
      text = text.slice(end + delimiter.length);
    }
    if (done) return;
  }
}

async function hash(document) {
  if (!crypto.subtle) return null;
  if (!hashes.has(document)) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(document));
    hashes.set(document, Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join(""));
  }
  return hashes.get(document);
}
