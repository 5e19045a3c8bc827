// Runs every server audit of graphql-http against an address: `node audits.mjs http://127.0.0.1:8000/graphql`.
// Prints one JSON object and fails unless every audit is fine; a warning or a notice counts as a failure.
import { serverAudits } from "graphql-http";

const [url] = process.argv.slice(2);
if (!url) {
  console.error("usage: node audits.mjs URL");
  process.exit(2);
}

const failed = [];
const audits = serverAudits({ url, fetchFn: fetch });
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status !== "ok") {
    failed.push({ id: audit.id, name: audit.name, status: result.status, reason: result.reason });
  }
}
console.log(JSON.stringify({ audits: audits.length, ok: audits.length - failed.length, failed }));
process.exit(failed.length ? 1 : 0);
