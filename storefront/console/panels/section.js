// A part of the page: a heading, a sentence, and cards.
import { h, freshId } from "../dom.js";

export function section(id, title, about, ...figures) {
  const even = figures.length === 4 || figures.some((each) => each.element?.classList.contains("wide"));
  const heading = freshId("section");
  const trouble = h("p", { class: "trouble", role: "status", hidden: true });
  const grid = h("div", { class: even ? "grid-cards two" : "grid-cards" }, figures.map((each) => each.element ?? each));
  const element = h("section", { id, class: "part", "aria-labelledby": heading }, h("header", {}, h("h2", { id: heading }, title), h("p", {}, about)), trouble, grid);
  return {
    element,
    grid,
    /** Say that this part could not be asked for, or that it could again. */
    told(error) {
      trouble.hidden = !error;
      trouble.textContent = error ? `This part could not be read: ${error.message}` : "";
    },
  };
}

/** What to do where nothing was decided yet. */
export const howToBegin = () => [
  h("p", {}, "Nothing was decided in this time."),
  h("p", {}, "Visit the shop, or let shoppers visit:"),
  h("code", {}, `gateway simulate --url ${location.origin}`),
];
