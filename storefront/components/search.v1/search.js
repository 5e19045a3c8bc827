// A search box with the first results below it.
import { announce, h } from "../../shop/dom.js";
import { naming } from "../../shop/format.js";
import { productPath } from "../../shop/routes.js";

const PAUSE_MS = 150;

export function render(_data, page) {
  const list = h("ul", { class: "results", id: "results", role: "listbox", "aria-label": "First results", hidden: true });
  const box = h("input", {
    type: "search", id: "words", name: "q", placeholder: "Search soap, shampoo, vitamins", autocomplete: "off", value: page.name === "search" ? page.route.query.get("q") : null,
    role: "combobox", "aria-label": "Search the shop", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "results",
  });
  const form = h("form", { class: "search", role: "search", action: "/search" }, box, list);
  let timer = null;
  let chosen = -1;
  const close = () => {
    list.hidden = true;
    chosen = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };
  const choose = (place) => {
    const items = Array.from(list.children);
    if (!items.length) return;
    chosen = (place + items.length) % items.length;
    items.forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    box.setAttribute("aria-activedescendant", items[chosen].id);
  };
  const look = async () => {
    const words = box.value.trim();
    if (words.length < 2) return close();
    const { searchResults } = await page.suggest(words);
    if (box.value.trim() !== words || !form.contains(document.activeElement)) return;
    const found = searchResults?.nodes ?? [];
    list.replaceChildren(...found.map(({ id, name }, at) => option(id, name, at, page)));
    list.hidden = !found.length;
    chosen = -1;
    box.setAttribute("aria-expanded", String(found.length > 0));
    if (found.length) announce(`${found.length} suggestions`);
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => look().catch(close), PAUSE_MS);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    }
  });
  box.addEventListener("blur", () => setTimeout(close, 150));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    const path = list.children[chosen]?.dataset.path ?? `/search?q=${encodeURIComponent(box.value.trim())}`;
    close();
    page.go(path);
  });
  return form;
}

function option(id, name, at, page) {
  const { title, size, maker } = naming({ name });
  const path = productPath(id);
  return h("li", { role: "option", id: `result-${at}`, "aria-selected": "false", "data-path": path, onPointerdown: (event) => (event.preventDefault(), page.go(path)) }, h("span", {}, title), h("span", { class: "quiet" }, [maker, size].filter(Boolean).join(" · ")));
}
