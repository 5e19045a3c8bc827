// How things are said.
const money = new Map();

/** An amount of money as people write it; a dash where there is none. */
export function price(amount, currency = "USD") {
  if (amount === null || amount === undefined) return "-";
  if (!money.has(currency)) money.set(currency, new Intl.NumberFormat("en-US", { style: "currency", currency }));
  return money.get(currency).format(Number(amount));
}

/** A whole number with separators. */
export const count = (number) => new Intl.NumberFormat("en-US").format(number);

/** `1 product`, `2 products`. */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A product's name taken apart: what it is, its size, who makes it, and which of several it is. */
export function naming(product) {
  const [title, ...rest] = product.name.split(", ");
  const maker = rest.find((part) => part.startsWith("Maker ")) ?? null;
  const number = rest.find((part) => part.startsWith("No. ")) ?? null;
  const size = product.size ?? rest.find((part) => part !== maker && part !== number) ?? null;
  return { title, size, maker, number };
}

/** Percent below the list price, 0 where there is no discount. */
export function discount({ amount, listAmount } = {}) {
  const before = Number(listAmount);
  return before > 0 ? Math.max(0, Math.round((1 - Number(amount) / before) * 100)) : 0;
}

/** A persona in words. */
export const personaName = (persona) =>
  ({
    VISITOR: "Visitor",
    BUILDER: "Builder",
    CONSULTANT: "Consultant",
    SHOP_OWNER: "Shop owner",
    DIRECT_CUSTOMER: "Customer",
  })[persona] ?? "Visitor";

/** Why a shelf shows what it shows; `products` may know their categories. */
export function shelfTitle(action, products = []) {
  if (action === "bestsellers") return "What everyone comes back for";
  if (action === "trending") return "In more and more baskets";
  const names = products.map((each) => each.category?.name).filter(Boolean);
  const [common] = names.sort((a, b) => names.filter((each) => each === b).length - names.filter((each) => each === a).length);
  return common ? `Well liked: ${common}` : "For you";
}
