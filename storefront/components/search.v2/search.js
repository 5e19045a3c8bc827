// Search over the whole screen of a phone, with prices and the number of results.
import { art } from "../../shop/art.js";
import { announce, h } from "../../shop/dom.js";
import { counted, naming, price } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

const PAUSE_MS = 200;

export function render(_data, page) {
  const found = h("div", { class: "screen-found" });
  const box = h("input", { type: "search", name: "q", placeholder: "Soap, shampoo, vitamins", autocomplete: "off", "aria-label": "Search the shop" });
  const close = h("button", { type: "button", class: "button is-plain", onClick: () => dialog.close() }, "Close");
  const form = h("form", { class: "screen-head", role: "search", action: "/search" }, box, close);
  const dialog = h("dialog", { class: "screen", "aria-label": "Search" }, form, found);
  const words = page.name === "search" ? page.route.query.get("q") : null;
  const opener = h("button", { type: "button", class: "screen-open", "aria-haspopup": "dialog", onClick: () => (dialog.showModal(), box.focus()) }, words ? `“${words}”` : "Search soap, shampoo, vitamins");
  let timer = null;
  const look = async () => {
    const asked = box.value.trim();
    if (asked.length < 2) return found.replaceChildren();
    const { searchScreen } = await page.suggest(asked);
    if (box.value.trim() !== asked) return;
    const nodes = searchScreen?.nodes ?? [];
    const total = counted(searchScreen?.totalCount ?? nodes.length, "product");
    found.replaceChildren(h("p", { class: "quiet" }, total), h("ul", {}, ...nodes.map((each) => h("li", {}, row(each, () => dialog.close())))));
    announce(total);
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => look().catch(() => found.replaceChildren(h("p", { class: "notice" }, "Search is not here right now."))), PAUSE_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close();
    page.go(`/search?q=${encodeURIComponent(box.value.trim())}`);
  });
  return h("div", { class: "screen-place" }, opener, dialog);
}

function row(it, close) {
  const { title, maker, size } = naming(it);
  return h("a", { href: productPath(it.id), onClick: close }, art(it), h("span", {}, h("strong", {}, title), h("span", { class: "quiet" }, [maker, size, it.category?.name].filter(Boolean).join(" · "))), h("span", {}, price(it.price?.amount, it.price?.currency)));
}
