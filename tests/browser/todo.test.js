/**
 * Uses the Todo app at TODO_URL as a person does. TODO_BROWSER names the Chromium to use;
 * TODO_SCREENSHOT, if given, the PNG file that keeps what was seen, and its variants beside it.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

const address = process.env.TODO_URL;
const screenshot = process.env.TODO_SCREENSHOT;

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

/** A browser window of its own, with no cookies, that fails the test where a page's script fails. */
async function openWindow(options = {}) {
  const context = await browser.newContext({ baseURL: address, ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const failures = [];
  page.on("pageerror", (error) => failures.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") failures.push(message.text());
  });
  return { context, page, failures };
}

const newEmail = () => `anna-${randomBytes(6).toString("hex")}@example.com`;
const PASSWORD = "correct horse battery";

async function fillCredentials(page, email, password) {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(password);
}

async function registerIn(page, email) {
  await page.goto("/register");
  await fillCredentials(page, email, PASSWORD);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByRole("heading", { name: "Your todos" }).waitFor();
}

async function addTodo(page, title) {
  await page.getByLabel("What is to be done?").fill(title);
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByRole("listitem").filter({ hasText: title }).waitFor();
}

/** Waits until the list shows exactly these titles, in this order. */
async function waitForTitles(page, ...expected) {
  const shown = page.getByRole("listitem").locator(".title");
  await shown.nth(expected.length - 1).waitFor();
  assert.deepEqual(await shown.allTextContents(), expected);
}

async function keepScreenshot(page, variant) {
  if (!screenshot) return;
  const path = variant ? screenshot.replace(/(\.png)?$/, `-${variant}.png`) : screenshot;
  await page.screenshot({ path });
}

test("register, add, read back, complete, delete, log out, log in again", async () => {
  const { context, page, failures } = await openWindow();
  const email = newEmail();

  // Who is not logged in is shown the way in.
  await page.goto("/");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.getByRole("link", { name: "Register" }).click();
  await page.getByRole("heading", { name: "Register" }).waitFor();
  await fillCredentials(page, email, PASSWORD);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByText("Nothing to do yet").waitFor();
  await page.getByText(email).waitFor();

  await addTodo(page, "Water the plants");
  await addTodo(page, "Post the letter to <b>Bert</b> & co");
  assert.equal(await page.getByLabel("What is to be done?").inputValue(), "");
  await page.reload();
  await waitForTitles(page, "Post the letter to <b>Bert</b> & co", "Water the plants");

  const box = page.getByRole("checkbox", { name: "Done: Water the plants" });
  await box.click();
  await page.getByText("1 of 2 to do").waitFor();
  await page.reload();
  assert.equal(await box.getAttribute("aria-checked"), "true");
  await keepScreenshot(page);

  await page.getByRole("button", { name: /^Delete: Post the letter/ }).click();
  await page.getByText("All done").waitFor();
  await waitForTitles(page, "Water the plants");

  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assert.deepEqual(await context.cookies(), []);
  await page.goto("/");
  await page.getByRole("heading", { name: "Log in" }).waitFor();

  await fillCredentials(page, email, PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Your todos" }).waitFor();
  await waitForTitles(page, "Water the plants");
  assert.deepEqual(failures, []);
  await context.close();
});

test("no script in the browser can read the token, and the backend's address is not told", async () => {
  const { context, page } = await openWindow();
  const requested = new Set();
  page.on("request", (request) => requested.add(new URL(request.url()).origin));
  await registerIn(page, newEmail());
  await addTodo(page, "Look around");

  const [session, ...others] = await context.cookies();
  assert.deepEqual(others, []);
  assert.equal(session.httpOnly, true);
  assert.equal(session.sameSite, "Lax");
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.ok(!(await page.content()).includes(session.value), "the page holds the token");
  assert.deepEqual([...requested], [new URL(address).origin]);
  await context.close();
});

test("what is wrong is said, and what was typed stays", async () => {
  const { context, page } = await openWindow();
  const email = newEmail();
  await registerIn(page, email);
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();

  await fillCredentials(page, email, "not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
  assert.equal(await page.getByLabel("E-mail address").inputValue(), email);

  await page.goto("/register");
  await fillCredentials(page, email, PASSWORD);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByRole("alert").filter({ hasText: "There is an account" }).waitFor();
  await context.close();
});

test("a session that the backend does not know ends at the log-in page", async () => {
  const { context, page } = await openWindow();
  await context.addCookies([{ name: "session", value: "worthless", url: address }]);
  await page.goto("/");
  await page.getByText("Your session has ended").waitFor();
  await context.close();
});

test("fits a phone, in the dark too", async () => {
  const { context, page } = await openWindow({
    viewport: { width: 360, height: 640 },
    colorScheme: "dark",
  });
  await registerIn(page, newEmail());
  await addTodo(page, "A long one that has to be broken over several lines on a small screen");
  await addTodo(page, "x".repeat(200));
  await page.getByRole("checkbox", { name: /^Done: A long one/ }).click();
  await page.getByText("1 of 2 to do").waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `the page is ${width} wide on a screen of 360`);
  await keepScreenshot(page, "phone-dark");
  await context.close();
});
