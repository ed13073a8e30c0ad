/**
 * A real browser with the Todo app, and common steps of users. TODO_URL is the app's address, TODO_BROWSER
 * the path of Chromium, and TODO_SCREENSHOTS an optional folder for screenshots.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before } from "node:test";

import axe from "axe-core";
import { chromium } from "playwright-core";

export const address = process.env.TODO_URL;
const screenshots = process.env.TODO_SCREENSHOTS;

export const PASSWORD = "correct horse battery";

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

/** The screens with which the pages are tested. */
export const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  "phone-light": { ...PHONE, colorScheme: "light" },
  "phone-dark": { ...PHONE, colorScheme: "dark" },
};

let browser;

before(async () => {
  assert.ok(address, "set TODO_URL to the address of the running app");
  browser = await chromium.launch({
    executablePath: process.env.TODO_BROWSER ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

after(() => browser?.close());

/**
 * Runs `use` in a new browser window without cookies, and fails if a page's script fails or
 * violates the page's policy. Expected errors are listed in `expected`.
 */
export async function inWindow(use, { expected = [], ...options } = {}) {
  const context = await browser.newContext({ baseURL: address, ...options });
  context.setDefaultTimeout(15_000);
  const failures = [];
  context.on("weberror", (error) => failures.push(String(error.error())));
  context.on("console", (message) => {
    if (message.type() === "error") failures.push(`${message.text()} ${message.location().url}`);
  });
  try {
    await use(await context.newPage(), context);
    const unexpected = failures.filter((text) => !expected.some((known) => known.test(text)));
    assert.deepEqual(unexpected, []);
  } finally {
    await context.close();
  }
}

export const newEmail = () => `anna-${randomBytes(6).toString("hex")}@example.com`;

export async function fillCredentials(page, email, password = PASSWORD) {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(password);
}

export async function logIn(page, email) {
  await fillCredentials(page, email);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByLabel("What is to be done?").waitFor();
}

/** Registers a new user, waits for the empty list, and returns the e-mail address. */
export async function register(page) {
  const email = newEmail();
  await page.goto("/register");
  await fillCredentials(page, email);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByLabel("What is to be done?").waitFor();
  return email;
}

export async function addTodo(page, title, due) {
  await page.getByLabel("What is to be done?").fill(title);
  if (due) await page.locator(".add").getByLabel("Due").fill(due);
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await todo(page, title).waitFor();
}

/** The row of the todo with this title. */
export function todo(page, title) {
  const named = page.locator(".title").getByText(title, { exact: true });
  return page.getByRole("list", { name: "Todos" }).getByRole("listitem").filter({ has: named });
}

/** Waits until the list shows exactly these titles, in this order. */
export async function waitForTitles(page, ...expected) {
  const shown = page.getByRole("list", { name: "Todos" }).locator(".title");
  await waitFor(async () => assert.deepEqual(await shown.allTextContents(), expected));
}

/** Waits until `check` no longer throws; after a timeout fails with its error. */
export async function waitFor(check, milliseconds = 15_000) {
  const end = Date.now() + milliseconds;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The date in a number of days from now, as YYYY-MM-DD in the browser's time zone. */
export function day(page, distance) {
  return page.evaluate((days) => {
    const then = new Date();
    then.setDate(then.getDate() + days);
    const two = (number) => String(number).padStart(2, "0");
    return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
  }, distance);
}

/** Tests the accessibility of the current page. */
async function expectAccessible(page) {
  // Evaluated by the debugger, because the page's policy forbids foreign scripts.
  await page.evaluate(axe.source);
  const { violations, passes } = await page.evaluate(() => window.axe.run());
  assert.ok(passes.length > 10, "axe ran almost no rules");
  const found = violations.map(({ id, help, nodes }) => ({
    id,
    help,
    where: nodes.map((node) => node.html),
  }));
  assert.deepEqual(found, []);
}

/** Asserts that no part of the page is wider than the screen. */
async function expectToFit(page) {
  const [needed, there] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(needed <= there, `the page is ${needed} wide on a screen of ${there}`);
}

/** Tests layout and accessibility of the current page on every screen; stores screenshots as `name`. */
export async function expectGoodLooks(page, name) {
  await page.evaluate(() => document.fonts.ready);
  await expectAccessible(page);
  await expectToFit(page);
  await keepScreenshot(page, name);
}

async function keepScreenshot(page, name) {
  if (!screenshots) return;
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}
