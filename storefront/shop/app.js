// The shop: shows the page of each address, follows links and the back button, and what changes at the gateway.
import { decisionsAt } from "./events.js";
import { announcement, followFlags } from "./flags.js";
import { announce, h } from "./dom.js";
import { led } from "./basket.js";
import { layouts, masthead } from "./layouts.js";
import { Page } from "./page.js";
import { route } from "./routes.js";
import { viewer } from "./viewer.js";
import { isBehindOpen, openBar } from "./bar.js";

const main = document.getElementById("main");
const bar = openBar({ show: () => show(new URL(location.href), { stay: true }) });
let showing = null;

/** Show the page of an address. `stay` keeps the place on the page, for when the same is shown anew. */
export async function show(url, { stay = false } = {}) {
  showing?.abort();
  const here = (showing = new AbortController());
  const found = route(url);
  if (!found) return location.assign(url);
  main.setAttribute("aria-busy", "true");
  try {
    const page = await new Page(found, {
      signal: here.signal,
      explain: isBehindOpen(),
      category: found.name === "category" ? found.id : (history.state?.category ?? null),
    }).open();
    if (here.signal.aborted) return;
    page.go = go;
    page.again = () => show(new URL(location.href), { stay: true });
    draw(page, stay);
  } catch (error) {
    if (here.signal.aborted || error.name === "AbortError") return;
    await failed(error);
  } finally {
    if (!here.signal.aborted) main.removeAttribute("aria-busy");
  }
}

/** Go to an address of the shop. */
export function go(path, state = {}) {
  history.pushState(state, "", path);
  return show(new URL(location.href));
}

function draw(page, stay) {
  document.documentElement.dataset.persona = page.persona;
  document.documentElement.dataset.page = page.name;
  masthead(page);
  const { title, body } = layouts[page.name](page);
  document.title = title === "Linden" ? title : `${title} - Linden`;
  main.replaceChildren(...body.filter(Boolean));
  announcement();
  bar.then((opened) => opened.tell(page));
  if (!stay) {
    scrollTo(0, 0);
    if (drawn) main.focus({ preventScroll: true });
    if (drawn) announce(title);
  }
  drawn = true;
  performance.mark("shown");
}

let drawn = false;

async function failed(error) {
  if (viewer.token && ["INVALID_TOKEN", "UNAUTHENTICATED"].includes(error.code)) {
    viewer.signOut();
    return show(new URL(location.href));
  }
  if (error.code === "FORBIDDEN_CONTEXT" && viewer.shopsFor) {
    viewer.shopsFor = null;
    announce("This customer is not one of yours.");
    return show(new URL(location.href));
  }
  console.error(error);
  const again = h("button", { class: "button", type: "button", onClick: () => show(new URL(location.href)) }, "Try again");
  main.replaceChildren(
    h("div", { class: "empty-page", role: "alert" }, h("h1", {}, "The shop does not answer"), h("p", {}, "This is our fault, not yours. Your basket is safe."), h("p", {}, again)),
  );
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
  const url = new URL(link.href);
  const found = url.origin === location.origin && route(url);
  if (!found || (url.hash && url.pathname === location.pathname)) return;
  if (found.name === "product") led.note(found.id, decisionsAt(link));
  event.preventDefault();
  go(url.pathname + url.search, { category: link.dataset.category ?? null });
});
addEventListener("popstate", () => show(new URL(location.href)));

await show(new URL(location.href));
followFlags(() => show(new URL(location.href), { stay: true }));
