// Sends a person's events with an unmodified @segment/analytics-node. Arguments: address, write key.
import { createRequire } from "node:module";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, flushAt: 5, flushInterval: 200 });
const problems = [];
analytics.on("error", (problem) => problems.push(problem));

analytics.identify({ userId: "ana", traits: { email: "ana@example.org", plan: "pro", seats: 3 } });
analytics.track({
  userId: "ana",
  event: "Order Completed",
  properties: { order_id: "o-1", total: 99.5, products: [{ sku: "s-1", quantity: 2 }] },
  timestamp: new Date("2026-01-31T09:00:00.250Z"),
});
analytics.page({ userId: "ana", name: "Home", category: "Shop", properties: { path: "/" } });
analytics.screen({ anonymousId: "visitor-1", name: "Basket" });
analytics.group({ userId: "ana", groupId: "acme", traits: { size: 40 } });
analytics.alias({ userId: "ana", previousId: "visitor-1" });
for (let number = 0; number < 20; number += 1) {
  analytics.track({ anonymousId: "visitor-1", event: "Product Viewed", properties: { number, name: "Grüße 🐟" } });
}
await analytics.closeAndFlush({ timeout: 60_000 });
if (problems.length > 0) {
  console.error(problems);
  process.exit(1);
}
