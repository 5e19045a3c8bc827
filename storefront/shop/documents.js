// Documents: a template of the shop and the fragments of the versions in play, as one text.
//
// A template is a file of `documents/`. In it a line `#... NAME` becomes a spread of the component's fragment, `#... *` of
// those on `Query`, `#... NAME on TYPE` of the fragment if it stands on that type; what is between `#? NAME` and `#/` goes
// where the component is not in play. The text depends on the versions only, so each has one hash and can be a trusted
// document; `gateway documents pages` makes the same texts.

/** Asks for itself while one types, not with the page. */
const APART = "search";

/** `{text, names}`: the document of a template for these versions, and the names of its variables. */
export function written(template, inPlay) {
  const versions = [...inPlay].sort((a, b) => (a.fragmentName < b.fragmentName ? -1 : 1));
  const used = new Map();
  let skipping = false;
  const lines = template.split("\n").flatMap((line) => {
    const mark = line.trim();
    if (mark.startsWith("#? ")) skipping = !versions.some(({ name }) => name === mark.slice(3));
    else if (mark === "#/") skipping = false;
    else if (!skipping && mark.startsWith("#... ")) return spreads(line, mark.slice(5), versions, used);
    else if (!skipping && mark && !mark.startsWith("#")) return [line];
    return [];
  });
  const fragments = [...used.values()];
  const [head, ...body] = lines;
  const rest = [...body, ...fragments.map(({ fragment }) => fragment.trim())].join("\n");
  const declared = { ...ownVariables(head) };
  for (const { variables } of fragments) Object.assign(declared, variables);
  const names = Object.keys(declared)
    .filter((name) => new RegExp(`\\$${name}\\b`).test(rest))
    .sort();
  const variables = names.length ? `(${names.map((name) => `$${name}: ${declared[name]}`).join(", ")})` : "";
  return { text: `${head.split("(")[0].replace(/ \{$/, "")}${variables} {\n${rest}\n`, names };
}

/** The type that a version's fragment stands on. */
export const standsOn = ({ fragment }) => /\bon (\w+)/.exec(fragment)[1];

function spreads(line, wanted, versions, used) {
  const [name, type] = wanted.split(" on ");
  const found = versions.filter((each) =>
    name === "*" ? standsOn(each) === "Query" && each.name !== APART : each.name === name && (!type || standsOn(each) === type),
  );
  for (const each of found) used.set(each.fragmentName, each);
  return found.map((each) => line.replace(/#.*/, `...${each.fragmentName}`));
}

function ownVariables(head) {
  const inside = /\((.*)\)/.exec(head)?.[1] ?? "";
  return Object.fromEntries(inside.split(", ").filter(Boolean).map((each) => each.slice(1).split(": ")));
}
