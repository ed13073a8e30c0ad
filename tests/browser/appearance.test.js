/** Appearance and accessibility of the pages: light, dark, on a phone. */
import { test } from "node:test";

import {
  addTodo,
  day,
  expectGoodLooks,
  inWindow,
  LOOKS,
  register,
  waitForTitles,
} from "./browser.js";

const NOT_FOUND = "There is no such page";

/** Breaks a browser feature that only the todos use, and with `andErrorPage` also one that only the error page uses. */
async function breakPage(page, { andErrorPage }) {
  await page.addInitScript((andErrorPage) => {
    const { DateTimeFormat } = Intl;
    const createElement = document.createElement.bind(document);
    const failUnlessMended = () => {
      if (!sessionStorage.getItem("mended")) throw new Error("broken by the test");
    };
    Intl.DateTimeFormat = function (...given) {
      failUnlessMended();
      return new DateTimeFormat(...given);
    };
    document.createElement = (name, ...given) => {
      if (andErrorPage && name === "button") failUnlessMended();
      return createElement(name, ...given);
    };
  }, andErrorPage);
}

const mend = (page) => page.evaluate(() => sessionStorage.setItem("mended", "yes"));

for (const [look, options] of Object.entries(LOOKS)) {
  const pass = (page, name) => expectGoodLooks(page, `${name}-${look}`);

  test(`the way in (${look})`, async () => {
    await inWindow(async (page) => {
      await page.goto("/login?expired=1");
      await page.getByText("Your session has ended").waitFor();
      await pass(page, "login");
      await page.goto("/register");
      await page.getByLabel("E-mail address").fill("nobody");
      await pass(page, "register");
    }, options);
  });

  test(`the todos (${look})`, async () => {
    await inWindow(async (page) => {
      await register(page);
      await page.getByText("Nothing to do yet").waitFor();
      await pass(page, "empty");

      await addTodo(page, "Order the train tickets to Lisbon");
      await addTodo(page, "Renew the passport", await day(page, -3));
      await addTodo(page, "Water the plants", await day(page, 0));
      await addTodo(page, "Bring the bicycle to the repair shop and ask about the brakes", await day(page, 1));
      await addTodo(page, "Read the chapter on sourdough", await day(page, 12));
      await addTodo(page, "Donaudampfschifffahrtsgesellschaft".repeat(4));
      await page.getByRole("checkbox", { name: "Done: Order the train tickets to Lisbon" }).click();
      await page.getByText("5 of 6 to do").waitFor();
      await pass(page, "todos");

      await page.getByRole("button", { name: "Edit: Water the plants" }).click();
      await page.getByRole("form", { name: "Edit: Water the plants" }).waitFor();
      await pass(page, "edit");

      await page.goto("/?search=coffee");
      await page.getByText("Nothing matches").waitFor();
      await pass(page, "no-match");

      await page.goto("/nowhere");
      await page.getByText(NOT_FOUND).waitFor();
      await pass(page, "not-found");
    }, { ...options, expected: [/404/] });
  });

  test(`the loading state is shown until the page is loaded (${look})`, async () => {
    await inWindow(async (page) => {
      await register(page);
      // The loading state is prefetched with the link, in the second of two requests. The page ends that request itself
      // once it has read enough, so it may end either way.
      const isPrefetch = (request) =>
        new URL(request.url()).pathname === "/"
        && request.headers()["next-router-prefetch"]
        && !request.headers()["next-router-segment-prefetch"]
        && new URL(request.frame().url()).pathname === "/nowhere";
      const beforehand = Promise.any(
        ["requestfinished", "requestfailed"].map((end) => page.waitForEvent(end, isPrefetch)),
      );
      await page.goto("/nowhere");
      await page.getByText(NOT_FOUND).waitFor();
      await beforehand;
      let answer;
      const held = new Promise((resolve) => (answer = resolve));
      await page.route(
        ({ pathname }) => pathname === "/",
        async (route) => {
          if (!route.request().headers()["next-router-prefetch"]) await held;
          await route.continue();
        },
      );
      await page.getByRole("link", { name: "To your todos" }).click();
      await page.getByRole("status").filter({ hasText: "Loading" }).waitFor({ state: "attached" });
      await pass(page, "loading");
      answer();
      await page.getByText("Nothing to do yet").waitFor();
    }, { ...options, expected: [/404/] });
  });

  for (const [name, role, broken] of [
    ["error", "button", { andErrorPage: false }],
    ["global-error", "link", { andErrorPage: true }],
  ]) {
    test(`where the page fails, one can try again (${name}, ${look})`, async () => {
      await inWindow(async (page) => {
        await register(page);
        await addTodo(page, "Was there before");
        await breakPage(page, broken);
        await page.goto("/");
        await page.getByRole("heading", { name: "Something went wrong" }).waitFor();
        const again = page.getByRole(role, { name: "Try again" });
        await again.waitFor();
        await pass(page, name);
        await mend(page);
        await again.click();
        await waitForTitles(page, "Was there before");
      }, { ...options, expected: [/broken by the test/] });
    });
  }
}
