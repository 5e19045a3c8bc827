// What is a flag but no component, asked through OpenFeature as any frontend team would.
import { OpenFeature, OFREPWebProvider, ProviderEvents } from "../vendor/openfeature.js";
import { APP_VERSION } from "./page.js";
import { viewer } from "./viewer.js";

const client = OpenFeature.getClient();
let asker = null;
let begun = false;

/** Begin to follow the flags of who looks now; `changed` is called when a definition changes. */
export async function followFlags(changed) {
  if (!begun) {
    begun = true;
    const told = () => dispatchEvent(new Event("flags"));
    client.addHandler(ProviderEvents.Ready, told);
    client.addHandler(ProviderEvents.ConfigurationChanged, () => {
      told();
      changed();
    });
  }
  if (asker === (viewer.token ?? "")) return;
  asker = viewer.token ?? "";
  const headers = viewer.token ? [["Authorization", `Bearer ${viewer.token}`]] : [];
  try {
    await OpenFeature.setContext({ appVersion: APP_VERSION });
    await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl: location.origin, headers }));
  } catch (error) {
    console.warn("flags cannot be asked; their defaults stand", error);
  }
}

/** From which amount on an order of this viewer travels free; null while that is not known. */
export const freeDeliveryFrom = () => client.getNumberValue("shop.free-delivery-from", 0) || null;

/** Show what the shop has to say today, in the line kept free for it. */
export function announcement() {
  document.getElementById("announcement").textContent = client.getStringValue("shop.announcement", "");
}

addEventListener("flags", announcement);
