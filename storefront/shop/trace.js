// W3C trace context, made by the page: all that one page view asks and reports belongs to one trace.
const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (b) => b.toString(16).padStart(2, "0")).join("");

/** The trace of one page view, new without an id. `parent()` gives each request a span id of its own. */
export class Trace {
  constructor(id = hex(16)) {
    this.id = id;
  }

  parent() {
    return `00-${this.id}-${hex(8)}-01`;
  }
}
