// Opens a page in headless Chromium that loads an unmodified @segment/analytics-next and sends a visitor's events.
// Arguments: address, write key, path of chromium. Prints what the page says of itself as JSON.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(new URL("../node/package.json", import.meta.url));
const esbuild = require("esbuild");
const { chromium } = require("playwright-core");

const [address, writeKey, executablePath] = process.argv.slice(2);

const bundle = await esbuild.build({
  stdin: {
    contents: 'export { AnalyticsBrowser } from "@segment/analytics-next";',
    resolveDir: fileURLToPath(new URL("../node", import.meta.url)),
  },
  bundle: true,
  format: "iife",
  globalName: "segment",
  platform: "browser",
  write: false,
  logLevel: "error",
});
const script = bundle.outputFiles[0].contents;

// A shop of its own origin, so that every request to the server is a cross-origin one.
const shop = createServer((request, response) => {
  const isScript = request.url === "/sdk.js";
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
  response.end(isScript ? script : '<!doctype html><title>Shop</title><script src="/sdk.js"></script>');
});
await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(`http://127.0.0.1:${shop.address().port}/basket?utm_source=letter`);
  const visitor = await page.evaluate(
    async ({ address, writeKey }) => {
      const analytics = segment.AnalyticsBrowser.load({ writeKey, cdnURL: address });
      await analytics.ready();
      const user = await analytics.user();
      const anonymousId = user.anonymousId();
      await analytics.page("Shop", "Basket");
      await analytics.track("Product Added", { product_id: "p-1", price: 19.9 });
      await analytics.identify("ben", { email: "ben@example.org", logins: 7 });
      await analytics.track("Order Completed", { order_id: "o-2", total: 19.9 });
      await analytics.group("acme", { size: 40 });
      await analytics.alias("ben", anonymousId);
      await analytics.screen("Receipt");
      return { anonymousId, userId: user.id() };
    },
    { address, writeKey },
  );
  // The refused ones are sent again from the SDK's own queue; the page stays open until the test has seen them all.
  console.log(JSON.stringify({ ...visitor, said }));
  await new Promise((resolve) => {
    process.stdin.on("end", resolve);
    process.stdin.on("close", resolve);
    process.stdin.resume();
  });
} finally {
  await browser.close();
  shop.close();
}
