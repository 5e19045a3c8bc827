// Pictures of products, drawn: the kind of package from what a product is, its colours from who makes it.
import { s } from "./dom.js";
import { naming } from "./format.js";

const KINDS = [
  [/toothpaste|denture adhesive|lip care|ointment/i, "tube"],
  [/toothbrush|oral hygiene brush/i, "brush"],
  [/liquid soap|lotion|moistur/i, "pump"],
  [/bar soap|facial soap|soaps, scrubs/i, "soap"],
  [/mouthwash|rinse/i, "flask"],
  [/antiperspirant|deodorant|stick|roll-on/i, "stick"],
  [/aerosol|spray|mousse|shave cream|hair set/i, "can"],
  [/razor|blade|depilator/i, "razor"],
  [/vitamin|mineral|supplement|tablet|capsule|antacid|medication|cleanser/i, "pills"],
  [/nutrition|drink|liquid|powder/i, "carton"],
  [/\bbars?\b|candy|breakfast|chocolate/i, "wrapper"],
  [/nail|polish/i, "polish"],
  [/covergirl|maybelline|almay|revlon|makeup|cosmetic|l'or/i, "lipstick"],
  [/cream|mask|scrub|bath|gel/i, "jar"],
  [/comb|barrette|pin|roller|accessor|implement|applicator|sponge|insole|hair & beauty/i, "comb"],
  [/shampoo|conditioner|wash|color|hair|suntan|tonic|cologne/i, "bottle"],
];

// Two tones for each package and a tint behind it; chosen by hand so that any two stand well together.
const PACKAGES = [
  ["#2f6b5b", "#1f4a3f"],
  ["#c8643c", "#8f4124"],
  ["#3f5f8a", "#29405f"],
  ["#a14a63", "#6f2f43"],
  ["#d39a3a", "#9a6b1c"],
  ["#6a5a8c", "#463a62"],
  ["#5c7d4a", "#3d5631"],
  ["#b9574f", "#81362f"],
  ["#4a8791", "#2f5b63"],
  ["#8a6a4f", "#5d4634"],
];
const TINTS = ["#efe6d8", "#e3ece6", "#f3e3da", "#e4e8f0", "#f1e4e8", "#efe9d3", "#e8e4ef", "#e5eddd"];

const hash = (text) => Array.from(text).reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);

/** A drawing of a product, for the eye only: the name stands beside it. */
export function art(product) {
  const { title, maker, number } = naming(product);
  const kind = KINDS.find(([pattern]) => pattern.test(title))?.[1] ?? "box";
  const variety = Number(number?.replace("No. ", "") ?? 0);
  const [body, dark] = PACKAGES[(hash(maker ?? product.name) + (variety % 3) * 3) % PACKAGES.length];
  const tint = TINTS[hash(title) % TINTS.length];
  const mark = maker?.replace("Maker ", "") ?? title[0];
  return s(
    "svg",
    { viewBox: "0 0 200 200", class: "art", "aria-hidden": "true", focusable: "false" },
    s("rect", { x: -400, y: -400, width: 1000, height: 1000, fill: tint }),
    s("circle", { cx: 100, cy: 92, r: 70, fill: "#fff", opacity: 0.38 }),
    s("ellipse", { cx: 100, cy: 172, rx: 52, ry: 7, fill: "#23201c", opacity: 0.12 }),
    ...DRAWN[kind](body, dark, mark),
  );
}

const shine = (x, y, width, height) => s("rect", { x, y, width, height, rx: width / 2, fill: "#fff", opacity: 0.28 });
const label = (x, y, width, height, mark, ink) => [
  s("rect", { x, y, width, height, rx: 3, fill: "#fdfaf4" }),
  s("text", { x: x + width / 2, y: y + height / 2 + 4, "text-anchor": "middle", "font-size": Math.min(15, width / (mark.length * 0.62)), "font-family": "Fraunces, Georgia, serif", "font-weight": 600, fill: ink }, mark),
  s("rect", { x: x + width * 0.25, y: y + height - 8, width: width * 0.5, height: 1.6, fill: ink, opacity: 0.5 }),
];
const box = (x, y, width, height, rx, fill, more = {}) => s("rect", { x, y, width, height, rx, fill, ...more });
const path = (d, fill, more = {}) => s("path", { d, fill, ...more });

const DRAWN = {
  bottle: (a, b, m) => [box(86, 34, 28, 22, 4, b), path("M78 56h44c8 6 12 14 12 26v78q0 12-12 12H78q-12 0-12-12V82c0-12 4-20 12-26Z", a), shine(74, 84, 8, 70), ...label(80, 96, 42, 46, m, b)],
  pump: (a, b, m) => [path("M96 28h30q8 0 8 8v4h-10v-3H104v15h-8Z", b), box(90, 50, 20, 14, 3, b), box(64, 64, 72, 108, 14, a), shine(72, 78, 8, 80), ...label(80, 92, 44, 48, m, b)],
  tube: (a, b, m) => [path("M70 30h60l-8 118H78Z", a), box(66, 26, 68, 9, 3, b), box(80, 148, 40, 24, 5, b), shine(82, 44, 7, 92), ...label(84, 66, 32, 44, m, b)],
  brush: (a, b) => [
    s("g", { transform: "rotate(24 100 100)" }, box(93, 22, 14, 156, 7, a), box(84, 30, 9, 44, 2, "#fdfaf4"), box(84, 30, 9, 14, 2, b), box(96, 96, 8, 62, 4, b, { opacity: 0.55 }), shine(103, 84, 3, 80)),
  ],
  soap: (a, b, m) => [path("M46 112q0-22 22-22h64q22 0 22 22v38q0 20-22 20H68q-22 0-22-20Z", a), path("M46 112q0-22 22-22h64q22 0 22 22 0 14-22 14H68q-22 0-22-14Z", "#fff", { opacity: 0.3 }), s("circle", { cx: 66, cy: 66, r: 11, fill: "#fff", opacity: 0.75 }), s("circle", { cx: 88, cy: 52, r: 7, fill: "#fff", opacity: 0.75 }), s("circle", { cx: 124, cy: 64, r: 9, fill: "#fff", opacity: 0.6 }), s("text", { x: 100, y: 156, "text-anchor": "middle", "font-size": 20, "font-family": "Fraunces, Georgia, serif", "font-weight": 600, fill: b }, m)],
  flask: (a, b, m) => [box(84, 30, 32, 28, 5, b), path("M84 58h32l22 34v66q0 14-14 14H76q-14 0-14-14V92Z", a, { opacity: 0.92 }), path("M62 112h76v46q0 14-14 14H76q-14 0-14-14Z", b, { opacity: 0.28 }), shine(72, 96, 8, 62), ...label(80, 98, 44, 44, m, b)],
  stick: (a, b, m) => [path("M76 62q0-26 24-26t24 26v12H76Z", "#fdfaf4"), box(72, 72, 56, 86, 8, a), box(72, 150, 56, 22, 7, b), shine(79, 80, 7, 66), ...label(84, 92, 36, 42, m, b)],
  can: (a, b, m) => [box(92, 26, 16, 12, 3, b), path("M78 56q0-20 22-20t22 20Z", b), box(70, 56, 60, 116, 9, a), box(70, 64, 60, 5, 0, "#fff", { opacity: 0.35 }), shine(77, 76, 7, 86), ...label(82, 88, 38, 54, m, b)],
  razor: (a, b) => [s("g", { transform: "rotate(18 100 100)" }, box(62, 32, 76, 24, 6, b), box(68, 37, 64, 3, 1, "#fdfaf4"), box(68, 43, 64, 3, 1, "#fdfaf4"), path("M92 56h16l4 108q0 12-12 12t-12-12Z", a), shine(96, 70, 4, 90))],
  pills: (a, b, m) => [box(70, 42, 60, 26, 5, "#fdfaf4"), ...[76, 86, 96, 106, 116].map((x) => box(x, 44, 2.4, 22, 1, b, { opacity: 0.25 })), path("M66 74q0-6 6-6h56q6 0 6 6v84q0 14-14 14H80q-14 0-14-14Z", a), shine(73, 80, 7, 80), ...label(66, 92, 68, 50, m, b)],
  carton: (a, b, m) => [path("M66 66l34-30 34 30Z", b), box(92, 26, 16, 14, 3, "#fdfaf4"), box(66, 66, 68, 106, 3, a), path("M100 66h34v106h-34Z", b, { opacity: 0.25 }), ...label(76, 88, 48, 50, m, b)],
  wrapper: (a, b, m) => [s("g", { transform: "rotate(-16 100 100)" }, path("M26 76l8 6-8 6 8 6-8 6 8 6-8 6 8 6-8 6h10V70H26Z M174 76l-8 6 8 6-8 6 8 6-8 6 8 6-8 6 8 6h-10V70h10Z", b), box(34, 70, 132, 54, 4, a), box(34, 78, 132, 8, 0, "#fff", { opacity: 0.28 }), ...label(72, 84, 56, 32, m, b))],
  polish: (a, b, m) => [path("M88 22h24l4 62H84Z", b), path("M72 96q0-12 12-12h32q12 0 12 12v62q0 14-14 14H86q-14 0-14-14Z", a), shine(79, 98, 7, 60), ...label(86, 112, 30, 34, m, b)],
  lipstick: (a, b, m) => [path("M86 74V50q0-8 14-20 14 4 14 14v30Z", a), box(82, 72, 36, 32, 3, "#e9d8a8"), box(76, 102, 48, 70, 5, b), shine(83, 108, 6, 56), s("text", { x: 102, y: 144, "text-anchor": "middle", "font-size": Math.min(15, 34 / (m.length * 0.6)), "font-family": "Fraunces, Georgia, serif", "font-weight": 600, fill: "#fdfaf4" }, m)],
  jar: (a, b, m) => [box(58, 60, 84, 30, 7, b), path("M54 92h92v64q0 16-16 16H70q-16 0-16-16Z", a), shine(62, 98, 7, 62), ...label(76, 106, 50, 46, m, b)],
  comb: (a, b) => [s("g", { transform: "rotate(-14 100 100)" }, box(40, 66, 120, 28, 12, a), ...Array.from({ length: 13 }, (_, n) => box(46 + n * 8.6, 88, 4.6, 56, 2, n % 12 === 0 ? b : a)), box(48, 71, 104, 5, 2.5, "#fff", { opacity: 0.28 }))],
  box: (a, b, m) => [path("M56 58h88v114H56Z", a), path("M56 58l16-22h88l-16 22Z", b), path("M144 58l16-22v112l-16 24Z", b, { opacity: 0.8 }), ...label(72, 86, 56, 52, m, b)],
};
