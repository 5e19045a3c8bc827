// Reviews of a product; off until they are moderated.
import { h } from "../../shop/dom.js";
import { counted, naming } from "../../shop/format.js";

export function render(it) {
  return h("section", { class: "reviews", "aria-labelledby": "reviews" }, h("h2", { id: "reviews" }, "What others say"), h("p", {}, `${naming(it).title} was bought ${counted(it.popularity, "time")}. Nobody has written about it yet.`));
}
