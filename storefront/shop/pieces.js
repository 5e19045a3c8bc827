// The component versions there are, and their code: a version is loaded when a page gets it, once.
import { written } from "./documents.js";

const base = new URL("../", import.meta.url);
const modules = new Map();
let told = null;

/** What the gateway tells of this shop: its templates of documents, and its component versions. */
const list = () => (told ??= fetch(new URL("components.json", base)).then((response) => response.json()));

/** Every version that this page can render, by `name.version`. */
export async function versions() {
  return new Map((await list()).versions.map((each) => [`${each.name}.${each.version}`, each]));
}

/** The document of a template of this shop for the versions in play, and the names of its variables. */
export async function documentOf(name, inPlay = []) {
  return written((await list()).documents[name], inPlay);
}

/** What `Context.supports` says of this page. */
export async function supported() {
  return Array.from((await versions()).values(), ({ name, version }) => ({ name, version }));
}

/** The module of a version, with its style in effect; null where either cannot be loaded. */
export function load(version) {
  const key = version.module;
  if (!modules.has(key)) modules.set(key, Promise.all([import(new URL(version.module, base)), style(version.style)]));
  return modules.get(key).then(
    ([module]) => module,
    (error) => {
      modules.delete(key);
      console.error(`component ${key} cannot be loaded`, error);
      return null;
    },
  );
}

function style(path) {
  if (!path) return Promise.resolve();
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(path, base);
  const loaded = new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = reject;
  });
  document.head.append(link);
  return loaded;
}
