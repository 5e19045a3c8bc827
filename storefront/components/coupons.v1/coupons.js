// Coupons that may be redeemed for a product.
import { h } from "../../shop/dom.js";
import { counted } from "../../shop/format.js";

export function render({ coupons }) {
  if (!coupons?.length) return null;
  return h("span", { class: "coupon" }, coupons.length === 1 ? "Coupon" : counted(coupons.length, "coupon"));
}
