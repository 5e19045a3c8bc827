// For which customer a consultant shops: as whom the page answers now.
import { isDemo } from "../../shop/bar.js";
import { h } from "../../shop/dom.js";
import { personaName } from "../../shop/format.js";
import { viewer } from "../../shop/viewer.js";

export function render({ shopsFor }, page) {
  if (!shopsFor) return null;
  const current = viewer.shopsFor;
  const number = h("input", { id: "shops-for", name: "customer", inputmode: "numeric", autocomplete: "off", list: "customers", value: current, placeholder: "Number", size: 8 });
  const known = h("datalist", { id: "customers" });
  const choose = (id) => {
    viewer.shopsFor = id;
    page.again();
  };
  suggest(known);
  const form = h("form", { class: "picker", "aria-label": "For whom you shop", onSubmit: (event) => (event.preventDefault(), choose(number.value.trim())) },
    h("label", { for: "shops-for" }, "You shop for customer"),
    number, known,
    h("button", { class: "button is-small", type: "submit" }, "Choose"),
    current && h("button", { class: "button is-small is-plain", type: "button", onClick: () => choose(null) }, "Myself again"),
    h("p", { class: "quiet" }, current ? `Customer ${current}, ${personaName(shopsFor.persona).toLowerCase()}${shopsFor.key ? `, ${shopsFor.key}` : ""}` : "Now for yourself"));
  return form;
}

/** The customers below the consultant, where the demo tells of them; the shop itself tells nobody who is a customer. */
async function suggest(list) {
  if (!isDemo()) return;
  const response = await fetch(`/demo/people?under=${encodeURIComponent(viewer.customerId)}`).catch(() => null);
  if (!response?.ok) return;
  const { people } = await response.json();
  list.replaceChildren(...people.map(({ id, persona }) => h("option", { value: id }, personaName(persona))));
}
