/** Work with todos. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { addTodo, day, inWindow, register, todo, waitFor, waitForTitles } from "./browser.js";

const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute("aria-label"));

test("add, read back, complete, delete", async () => {
  await inWindow(async (page) => {
    await register(page);
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
    await box.click();
    await page.getByText("2 of 2 to do").waitFor();
    await box.click();

    await page.getByRole("button", { name: /^Delete: Post the letter/ }).click();
    await page.getByText("All done").waitFor();
    await waitForTitles(page, "Water the plants");
  });
});

test("edit in place, with the keyboard alone", async () => {
  await inWindow(async (page) => {
    await register(page);
    await addTodo(page, "Water the plants");
    const edit = page.getByRole("button", { name: "Edit: Water the plants" });
    await edit.focus();

    // Escape changes nothing and returns the focus.
    await page.keyboard.press("Enter");
    await page.getByLabel("Title").waitFor();
    await page.keyboard.type("Nonsense");
    await page.keyboard.press("Escape");
    await waitForTitles(page, "Water the plants");
    await waitFor(async () => assert.equal(await focused(page), "Edit: Water the plants"));

    // The title is selected: typing replaces it.
    await page.keyboard.press("Enter");
    await page.getByLabel("Title").waitFor();
    await page.keyboard.type("Water the garden");
    await page.keyboard.press("Enter");
    await waitForTitles(page, "Water the garden");
    await waitFor(async () => assert.equal(await focused(page), "Edit: Water the garden"));
    await page.reload();
    await waitForTitles(page, "Water the garden");
  });
});

test("deletion with the keyboard moves the focus to the next todo", async () => {
  await inWindow(async (page) => {
    await register(page);
    for (const title of ["Three", "Two", "One"]) await addTodo(page, title);
    await page.getByRole("button", { name: "Delete: Two" }).focus();
    await page.keyboard.press("Enter");
    await waitForTitles(page, "One", "Three");
    assert.equal(await focused(page), "Done: Three");
  });
});

test("due dates: set, shown, changed, removed", async () => {
  await inWindow(async (page) => {
    await register(page);
    await addTodo(page, "Late", await day(page, -1));
    await addTodo(page, "Now", await day(page, 0));
    await addTodo(page, "Soon", await day(page, 1));
    assert.equal(await todo(page, "Late").locator(".due").innerText(), "Overdue: Yesterday");
    assert.match(await todo(page, "Now").locator(".due").innerText(), /Today$/);
    assert.match(await todo(page, "Soon").locator(".due").innerText(), /Tomorrow$/);

    // A completed todo is not overdue.
    await page.getByRole("checkbox", { name: "Done: Late" }).click();
    await waitFor(async () =>
      assert.equal(await todo(page, "Late").locator(".due.overdue").count(), 0),
    );

    await page.getByRole("button", { name: "Edit: Soon" }).click();
    const editor = page.getByRole("form", { name: "Edit: Soon" });
    await editor.getByLabel("Due").fill("2031-05-04");
    await editor.getByRole("button", { name: "Save" }).click();
    await waitFor(async () =>
      assert.match(await todo(page, "Soon").locator(".due").innerText(), /4 May 2031$/),
    );

    await page.getByRole("button", { name: "Edit: Now" }).click();
    const other = page.getByRole("form", { name: "Edit: Now" });
    await other.getByLabel("Due").fill("");
    await other.getByRole("button", { name: "Save" }).click();
    await todo(page, "Now").waitFor();
    assert.equal(await todo(page, "Now").locator(".due").count(), 0);
  });
});

for (const timezoneId of ["Pacific/Kiritimati", "Pacific/Pago_Pago"]) {
  // Time zones that are always a day apart, so that at least one of them differs from the server's day.
  test(`today is the day it is where the user is (${timezoneId})`, async () => {
    await inWindow(
      async (page) => {
        await register(page);
        await addTodo(page, "Now", await day(page, 0));
        await waitFor(async () =>
          assert.match(await todo(page, "Now").locator(".due").innerText(), /Today$/),
        );
        await page.getByRole("link", { name: "Today", exact: true }).click();
        await page.waitForURL("/?due=today");
        await waitForTitles(page, "Now");
      },
      { timezoneId },
    );
  });
}

test("search and filters, alone and together, and by address", async () => {
  await inWindow(async (page) => {
    await register(page);
    await addTodo(page, "Buy green tea", await day(page, -2));
    await addTodo(page, "Buy milk");
    await addTodo(page, "Call 100% Tea Ltd", await day(page, 0));
    await page.getByRole("checkbox", { name: "Done: Buy milk" }).click();
    await page.getByText("2 of 3 to do").waitFor();

    const show = (name) => page.getByRole("link", { name, exact: true }).click();
    await show("Open");
    await waitForTitles(page, "Call 100% Tea Ltd", "Buy green tea");
    await show("Done");
    await waitForTitles(page, "Buy milk");
    await show("All");
    await show("Overdue");
    await waitForTitles(page, "Buy green tea");
    await show("Today");
    await waitForTitles(page, "Call 100% Tea Ltd");
    await show("No date");
    await waitForTitles(page, "Buy milk");
    await show("Any date");

    // The search runs while typing, without the enter key.
    await page.getByLabel("Search your todos").fill("TEA");
    await waitForTitles(page, "Call 100% Tea Ltd", "Buy green tea");
    await page.getByLabel("Search your todos").fill("0%");
    await waitForTitles(page, "Call 100% Tea Ltd");
    await page.getByLabel("Search your todos").fill("tea");
    await waitForTitles(page, "Call 100% Tea Ltd", "Buy green tea");
    await show("Overdue");
    await waitForTitles(page, "Buy green tea");
    assert.equal(new URL(page.url()).search, "?search=tea&due=overdue");
    await page.reload();
    await waitForTitles(page, "Buy green tea");

    await page.getByLabel("Search your todos").fill("coffee");
    await page.getByText("Nothing matches").waitFor();
    await show("Show all");
    await waitForTitles(page, "Call 100% Tea Ltd", "Buy milk", "Buy green tea");
    assert.equal(await page.getByLabel("Search your todos").inputValue(), "");

    await page.goBack();
    await page.getByText("Nothing matches").waitFor();
  });
});

test("a todo that no longer matches the filter leaves the list", async () => {
  await inWindow(async (page) => {
    await register(page);
    await addTodo(page, "Stays");
    await addTodo(page, "Goes");
    await page.goto("/?status=open");
    await page.getByRole("checkbox", { name: "Done: Goes" }).click();
    await waitForTitles(page, "Stays");
  });
});

test("a long list is shown in parts", async () => {
  await inWindow(async (page) => {
    await register(page);
    const titles = Array.from({ length: 43 }, (_, index) => `Number ${index + 1}`);
    for (const title of titles) await addTodo(page, title);
    const newest = titles.toReversed();

    await page.reload();
    await waitForTitles(page, ...newest.slice(0, 20));
    await page.getByText("The newest 20").waitFor();
    await page.getByRole("link", { name: "Show more" }).focus();
    await page.keyboard.press("Enter");
    await waitForTitles(page, ...newest.slice(0, 40));
    // The focus moves to the first new todo.
    assert.equal(await focused(page), `Done: ${newest[20]}`);

    await page.getByRole("link", { name: "Show more" }).click();
    await waitForTitles(page, ...newest);
    await page.getByText("43 of 43 to do").waitFor();
    assert.equal(await page.getByRole("link", { name: "Show more" }).count(), 0);

    // A change far down the list is shown in place.
    await page.getByRole("checkbox", { name: `Done: ${newest[42]}`, exact: true }).click();
    await page.getByText("42 of 43 to do").waitFor();
  });
});

test("without a language model, suggestions are not offered", async () => {
  await inWindow(async (page) => {
    await register(page);
    assert.equal(await page.getByText("Turn a text into todos").count(), 0);
  });
});
