// The preference page as a person uses it: no JavaScript, by keyboard, on a phone, in the dark. Arguments: the page's address,
// a folder for pictures, the path of Chromium. Prints what was seen as JSON.
import { chromium } from "playwright-core";

const [address, folder, executablePath] = process.argv.slice(2);
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath, args });
const seen = {};

// Contrast by WCAG 2.2, 1.4.3: relative luminance of the text and of the nearest ground that is painted.
const contrasts = () => {
  const parse = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("h1,p,b,small,button,a")].filter((each) => each.textContent.trim());
  return Math.min(...texts.map((each) => {
    const [a, b] = [light(parse(getComputedStyle(each).color)), light(ground(each))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
};

for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({ javaScriptEnabled: false, colorScheme, viewport: { width: 360, height: 720 } });
  const page = await context.newPage();
  await page.goto(address);
  seen[colorScheme] = {
    contrast: await page.evaluate(contrasts),
    fits: await page.evaluate(() => document.documentElement.scrollWidth <= 360),
    unlabelled: await page.evaluate(() => [...document.querySelectorAll("input[type=checkbox]")].filter((each) => !each.labels.length).length),
    small: await page.evaluate(() => [...document.querySelectorAll("label,button")].filter((each) => each.getBoundingClientRect().height < 24).length),
    language: await page.getAttribute("html", "lang"),
  };
  await page.screenshot({ path: `${folder}/${colorScheme}.png`, fullPage: true });
  await context.close();
}

const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 720 } });
const page = await context.newPage();
await page.goto(address);
await page.keyboard.press("Tab");
seen.focused = await page.evaluate(() => document.activeElement.value);
seen.outlined = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
await page.keyboard.press("Space");
await page.getByRole("button", { name: "Save" }).press("Enter");
seen.saved = (await page.locator("main").innerText()).split("\n").filter(Boolean);
await page.getByRole("link").click();
await page.getByRole("button", { name: "Unsubscribe from everything" }).click();
seen.ended = (await page.locator("main").innerText()).split("\n").filter(Boolean);
await browser.close();
console.log(JSON.stringify(seen));
