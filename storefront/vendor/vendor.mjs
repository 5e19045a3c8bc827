// Makes the files in this folder from the npm packages that package.json names; `make vendor` runs it.
import { build } from "esbuild";
import { copyFile, mkdir, readFile } from "node:fs/promises";

const from = (path) => new URL(`./node_modules/${path}`, import.meta.url);
const to = (path) => new URL(`./${path}`, import.meta.url);
const packages = ["@openfeature/web-sdk", "@openfeature/core", "@openfeature/ofrep-core", "@openfeature/ofrep-web-provider"];

await build({
  entryPoints: [to("openfeature.entry.mjs").pathname],
  outfile: to("openfeature.js").pathname,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
});
await mkdir(to("fonts/"), { recursive: true });
for (const [font, file] of [["fraunces", "fraunces-latin-opsz-normal"], ["inter", "inter-latin-wght-normal"]]) {
  await copyFile(from(`@fontsource-variable/${font}/files/${file}.woff2`), to(`fonts/${font}.woff2`));
  await copyFile(from(`@fontsource-variable/${font}/LICENSE`), to(`LICENSE.${font}.md`));
}
const { version } = JSON.parse(await readFile(from("@openfeature/web-sdk/package.json"), "utf8"));
await copyFile(from("@openfeature/web-sdk/LICENSE"), to("LICENSE.openfeature.md"));
console.log(`openfeature.js: ${packages.join(", ")}; web SDK ${version}`);
