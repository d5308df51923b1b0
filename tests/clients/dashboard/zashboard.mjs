// Looks at a controller with zashboard in a headless Chromium, as a person would, and prints what was seen as JSON.
//
// Its environment: TRADEWIND_DASHBOARD_PACKAGES, the folder with playwright-core; TRADEWIND_DASHBOARD, a JSON object with
// `chromium`, `page` (the address of the dashboard), `host`, `port` and `secret` of the controller, `group` and `member` to
// choose, `destination` of a connection that is open, and `screenshots`, a folder.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.TRADEWIND_DASHBOARD_PACKAGES, "package.json"));
const { chromium } = require("playwright-core");
const asked = JSON.parse(process.env.TRADEWIND_DASHBOARD);
const seen = { console: [], failed: [] };

const browser = await chromium.launch({
  executablePath: asked.chromium,
  // In a container there is no user namespace for its sandbox; the page is ours.
  args: ["--no-sandbox", "--no-proxy-server", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, locale: "en-US" });
  page.setDefaultTimeout(20000);
  page.on("console", (message) => message.type() === "error" && seen.console.push(message.text()));
  page.on("response", (answer) => answer.status() >= 400 && seen.failed.push(`${answer.status()} ${answer.url()}`));
  const shoot = (name) => page.screenshot({ path: path.join(asked.screenshots, `${name}.png`) });

  const query = new URLSearchParams({ hostname: asked.host, port: asked.port, secret: asked.secret, http: "true" });
  await page.goto(`${asked.page}#/setup?${query}`);
  await page.waitForFunction(() => !location.hash.startsWith("#/setup"));
  const go = (where) => page.evaluate((where) => (location.hash = `#/${where}`), where);

  const row = async () => page.locator("body").innerText();
  await go("connections");
  await page.getByText(asked.destination).first().waitFor();
  const before = await row();
  await page.waitForFunction((before) => document.body.innerText !== before, before);
  seen.connections = await row();
  await shoot("connections");

  // A choice closes what goes the old way.
  await go("proxies");
  await page.getByText(asked.group, { exact: true }).first().waitFor();
  // A group is closed until one clicks on it, and a page that is still sliding in takes no clicks.
  const member = page.getByText(asked.member, { exact: true });
  for (let tries = 0; tries < 10 && !(await member.last().isVisible()); tries++) {
    await page.getByText(asked.group, { exact: true }).first().click();
    await page.waitForTimeout(700);
  }
  await member.last().waitFor();
  await shoot("proxies");
  seen.groups = await page.locator("main, body").first().innerText();
  await member.last().click();
  await page.waitForTimeout(1000);
  await shoot("chosen");

  await go("overview");
  await page.waitForTimeout(2500);
  seen.overview = await row();
  await shoot("overview");

  await go("rules");
  await page.waitForTimeout(1000);
  seen.rules = await row();
  await shoot("rules");

  await go("logs");
  await page.waitForTimeout(1500);
  seen.logs = await row();
  await shoot("logs");
} catch (error) {
  const [page] = browser.contexts().flatMap((context) => context.pages());
  await page?.screenshot({ path: path.join(asked.screenshots, "failed.png") });
  console.error(JSON.stringify(seen), await page?.locator("body").innerText());
  throw error;
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
