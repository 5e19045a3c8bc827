// OpenFeature's web SDK with its OFREP provider against an address:
//   node --experimental-eventsource ofrep.mjs URL TOKEN NEW_FILE FILE
// Evaluates, puts NEW_FILE in the place of FILE, waits for the provider to tell of it, evaluates again, and then once
// more in other contexts. Prints one JSON object with what the client saw. A browser brings `EventSource` and keeps
// cookies: Node has the first behind its flag, the second is done below.
import { renameSync } from "node:fs";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

const [baseUrl, token, fresh, file] = process.argv.slice(2);
if (!baseUrl || token === undefined || !fresh || !file) {
  console.error("usage: node --experimental-eventsource ofrep.mjs URL TOKEN NEW_FILE FILE");
  process.exit(2);
}

const statuses = [];
let cookie = "";
async function fetchWithCookies(request, init) {
  if (cookie) request.headers.set("Cookie", cookie);
  const response = await fetch(request, init);
  cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? cookie;
  statuses.push(response.status);
  return response;
}

const events = [];
for (const kind of [ProviderEvents.ConfigurationChanged, ProviderEvents.Stale, ProviderEvents.Error]) {
  OpenFeature.addHandler(kind, (details) => events.push({ kind, changed: details?.flagsChanged ?? [] }));
}
const changed = new Promise((resolve) => OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, resolve));

await OpenFeature.setContext({ appVersion: "1.0.0" });
const headers = token ? [["Authorization", `Bearer ${token}`]] : [];
const provider = new OFREPWebProvider({
  baseUrl,
  headers,
  cacheMode: "disabled",
  fetchImplementation: fetchWithCookies,
});
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();

const seen = () => ({
  banner: client.getStringDetails("banner", "mine"),
  version: client.getStringValue("by-version", "mine"),
  count: client.getNumberValue("count", -1),
  layout: client.getObjectValue("layout", {}),
  off: client.getStringDetails("off", "mine"),
  missing: client.getStringDetails("nobody", "mine"),
  mistyped: client.getBooleanDetails("banner", true),
});
const report = { first: seen() };
renameSync(fresh, file);
await changed;
report.afterChange = seen();
await OpenFeature.setContext({ appVersion: "2.5.0" });
report.afterContext = seen();
await OpenFeature.setContext({ appVersion: "2.5.0", targetingKey: "customer:another" });
report.afterForbidden = seen();
report.events = events;
report.statuses = statuses;
await OpenFeature.close();
console.log(JSON.stringify(report));
