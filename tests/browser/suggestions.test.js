/** Todos from a text, suggested by the fake language model (model.js). */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  addTodo,
  address,
  day,
  expectGoodLooks,
  inWindow,
  logIn,
  LOOKS,
  register,
  waitFor,
  waitForTitles,
} from "./browser.js";

const offers = (page) => page.getByRole("list", { name: "Suggestions" }).locator(".title");

async function suggest(page, ...lines) {
  const field = page.getByLabel("Notes, a letter, what is on your mind");
  if (!(await field.isVisible())) await page.getByText("Turn a text into todos").click();
  await field.fill(lines.join("\n"));
  await page.getByRole("button", { name: "Suggest todos" }).click();
}

async function waitForOffers(page, ...expected) {
  await waitFor(async () => assert.deepEqual(await offers(page).allTextContents(), expected));
}

test("suggestions can be accepted and discarded one at a time", async () => {
  await inWindow(async (page) => {
    await register(page);
    await suggest(page, `Book the ferry | ${await day(page, 1)}`, "Pack", "Nonsense");
    await waitForOffers(page, "Book the ferry", "Pack", "Nonsense");
    await page.getByText("3 suggestions").waitFor();
    // A suggestion is not a todo before it is accepted.
    await page.getByText("Nothing to do yet").waitFor();

    await page.getByRole("button", { name: "Discard: Nonsense" }).click();
    await waitForOffers(page, "Book the ferry", "Pack");
    await page.getByRole("button", { name: "Add: Book the ferry" }).focus();
    await page.keyboard.press("Enter");
    await waitForTitles(page, "Book the ferry");
    await waitForOffers(page, "Pack");
    assert.match(await page.locator(".todos .due").innerText(), /Tomorrow$/);
    // The focus moves to the next suggestion.
    const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.match(focused, /: Pack$/);
  });
});

test("all suggestions can be accepted at once, in the order of the text", async () => {
  await inWindow(async (page) => {
    await register(page);
    await addTodo(page, "Was there before");
    await suggest(page, "One", "Two", "Three");
    await page.getByRole("button", { name: "Add all 3" }).click();
    await waitForTitles(page, "One", "Two", "Three", "Was there before");
    await page.getByText("3 todos added").waitFor();
    assert.equal(await offers(page).count(), 0);
  });
});

test("suggestions are shown as they arrive, and can be stopped", async () => {
  await inWindow(async (page) => {
    await register(page);
    await suggest(page, "First", "(wait)", "Never");
    await waitForOffers(page, "First");
    await page.getByText("Reading your text").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("1 suggestion", { exact: true }).waitFor();
    await waitForOffers(page, "First");
    await page.getByRole("button", { name: "Add: First" }).click();
    await waitForTitles(page, "First");
  });
});

test("an aborted response is reported, and earlier suggestions stay", async () => {
  await inWindow(async (page) => {
    await register(page);
    await suggest(page, "First", "(break off)");
    await page.getByRole("alert").filter({ hasText: "The AI service" }).waitFor();
    await waitForOffers(page, "First");
    // A retry is possible.
    await suggest(page, "Second");
    await waitForOffers(page, "Second");
    assert.equal(await page.getByRole("alert").filter({ hasText: "The AI service" }).count(), 0);
  });
});

test("a session that ended meanwhile is reported", async () => {
  await inWindow(
    async (page, context) => {
      const email = await register(page);
      await page.goto("/?status=open");
      await context.clearCookies();
      await context.addCookies([{ name: "refresh", value: "worthless", url: address }]);
      await suggest(page, "First");
      await page.getByText("Your session has ended").waitFor();
      await logIn(page, email);
      assert.equal(new URL(page.url()).search, "?status=open");
    },
    { expected: [/401/] },
  );
});

for (const [look, options] of Object.entries(LOOKS)) {
  test(`suggestions (${look})`, async () => {
    await inWindow(async (page) => {
      await register(page);
      await addTodo(page, "Order the train tickets to Lisbon");
      await suggest(
        page,
        `Book the ferry to the island for the four of us | ${await day(page, 1)}`,
        "Ask Bert for the tent",
        `Return the library books | ${await day(page, -2)}`,
      );
      await page.getByText("3 suggestions").waitFor();
      await expectGoodLooks(page, `suggestions-${look}`);
    }, options);
  });
}
