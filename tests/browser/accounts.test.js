/** Log in, sessions, log out, and protection against other users and sites. */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  addTodo,
  address,
  fillCredentials,
  inWindow,
  logIn,
  newEmail,
  register,
  todo,
  waitForTitles,
} from "./browser.js";

const ACCESS = "session";
const REFRESH = "refresh";

async function tokens(context) {
  const cookies = await context.cookies();
  return Object.fromEntries(cookies.map(({ name, value }) => [name, value]));
}

test("register, log out, log in again", async () => {
  await inWindow(async (page, context) => {
    const email = newEmail();
    // Without a session the log-in page is shown.
    await page.goto("/");
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.getByRole("link", { name: "Register" }).click();
    await page.getByRole("heading", { name: "Register" }).waitFor();
    await fillCredentials(page, email);
    await page.getByRole("button", { name: "Register" }).click();
    await page.getByText("Nothing to do yet").waitFor();
    await page.getByText(email).waitFor();
    await addTodo(page, "Water the plants");

    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    assert.deepEqual(await context.cookies(), []);
    await page.goto("/");
    await page.getByRole("heading", { name: "Log in" }).waitFor();

    await logIn(page, email);
    await waitForTitles(page, "Water the plants");
  });
});

test("errors are shown, and the typed text stays", async () => {
  await inWindow(async (page) => {
    const email = await register(page);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();

    await fillCredentials(page, email, "not the password");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
    assert.equal(await page.getByLabel("E-mail address").inputValue(), email);

    await page.goto("/register");
    await fillCredentials(page, email);
    await page.getByRole("button", { name: "Register" }).click();
    await page.getByRole("alert").filter({ hasText: "There is an account" }).waitFor();
  });
});

test("an expired session is renewed without a visible change", async () => {
  await inWindow(async (page, context) => {
    await register(page);
    await addTodo(page, "Before");
    const first = await tokens(context);

    // Simulates expiry. A page renews the session ...
    await context.clearCookies({ name: ACCESS });
    await page.reload();
    await waitForTitles(page, "Before");
    const second = await tokens(context);
    assert.notEqual(second[REFRESH], first[REFRESH]);
    assert.ok(second[ACCESS]);

    // ... and so does a form, which still takes effect.
    await context.clearCookies({ name: ACCESS });
    await addTodo(page, "After");
    const third = await tokens(context);
    assert.notEqual(third[REFRESH], second[REFRESH]);

    // A log-out with an expired session still logs out.
    await context.clearCookies({ name: ACCESS });
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    assert.deepEqual(await tokens(context), {});
  });
});

test("kept tokens are invalid after a log-out", async () => {
  await inWindow(async (page, context) => {
    await register(page);
    const kept = await context.cookies();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();

    await context.addCookies(kept.filter(({ name }) => name === REFRESH));
    await page.goto("/");
    await page.getByText("Your session has ended").waitFor();
    assert.deepEqual(await tokens(context), {});
  });
});

test("an ended session is reported, and a log-in returns to the same page", async () => {
  await inWindow(async (page, context) => {
    const email = await register(page);
    await addTodo(page, "Water the plants");
    await page.getByRole("link", { name: "Open", exact: true }).click();
    await page.waitForURL("/?status=open");

    // Sends the form with a session that cannot be renewed.
    await context.clearCookies();
    await context.addCookies([{ name: REFRESH, value: "worthless", url: address }]);
    await page.getByLabel("What is to be done?").fill("Lost?");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByText("Your session has ended").waitFor();
    await logIn(page, email);
    assert.equal(new URL(page.url()).search, "?status=open");

    // Loads a page with a token that the backend does not know.
    await context.addCookies([{ name: ACCESS, value: "worthless", url: address }]);
    await page.goto("/?due=none");
    await page.getByText("Your session has ended").waitFor();
    await logIn(page, email);
    assert.equal(new URL(page.url()).search, "?due=none");
  });
});

test("a log-in never redirects to another site", async () => {
  await inWindow(async (page) => {
    const email = await register(page);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.goto("/login?next=https%3A%2F%2Felsewhere.example%2F");
    await logIn(page, email);
    assert.equal(page.url(), new URL("/", address).href);
  });
});

test("scripts cannot read tokens, and the backend's address is not exposed", async () => {
  await inWindow(async (page, context) => {
    const requested = new Set();
    page.on("request", (request) => requested.add(new URL(request.url()).origin));
    await register(page);
    await addTodo(page, "Look around");

    const cookies = await context.cookies();
    assert.deepEqual(cookies.map(({ name }) => name).sort(), [REFRESH, ACCESS]);
    for (const { httpOnly, sameSite, value } of cookies) {
      assert.equal(httpOnly, true);
      assert.equal(sameSite, "Lax");
      assert.ok(!(await page.content()).includes(value), "the page contains a token");
    }
    assert.equal(await page.evaluate(() => document.cookie), "");
    assert.deepEqual([...requested], [new URL(address).origin]);
  });
});

test("an injected script does not run", async () => {
  await inWindow(
    async (page) => {
      await register(page);
      const refused = await page.evaluate(() => {
        const violation = new Promise((resolve) => {
          addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        });
        // An event handler, as in injected markup.
        document.body.insertAdjacentHTML("beforeend", "<img src=/nowhere onerror='window.ran = 1'>");
        return violation;
      });
      assert.equal(refused, "script-src-attr");
      assert.equal(await page.evaluate(() => window.ran), undefined);
    },
    { expected: [/Content Security Policy/, /404/] },
  );
});

test("requests from another site change nothing", async () => {
  await inWindow(async (page, context) => {
    await register(page);
    const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
    for (const headers of [{ origin: "https://elsewhere.example" }, { "sec-fetch-site": "same-site" }]) {
      for (const path of ["/", "/api/suggestions"]) {
        const response = await fetch(new URL(path, address), {
          method: "POST",
          headers: { cookie, ...headers },
        });
        assert.equal(response.status, 403);
      }
    }
    await page.reload();
    await page.getByText("Nothing to do yet").waitFor();
  });
});

test("every response has the security headers", async () => {
  for (const path of ["/login", "/nowhere", "/api/health", "/icon.svg"]) {
    const { headers } = await fetch(new URL(path, address), { redirect: "manual" });
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("x-frame-options"), "DENY", path);
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin", path);
    assert.equal(headers.get("x-powered-by"), null, path);
  }
  const { headers } = await fetch(new URL("/login", address));
  assert.match(headers.get("content-security-policy"), /script-src 'self' 'nonce-[^']+' 'strict-dynamic';/);
  assert.match(headers.get("cache-control"), /no-store/);
});

test("users see only their own todos", async () => {
  await inWindow(async (page) => {
    await register(page);
    await addTodo(page, "Anna's own");
    await inWindow(async (other) => {
      await register(other);
      await other.getByText("Nothing to do yet").waitFor();
      assert.equal(await todo(other, "Anna's own").count(), 0);
    });
  });
});

test("the icon is at the default path of browsers", async () => {
  const answer = await fetch(new URL("/favicon.ico", address), { redirect: "manual" });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "image/svg+xml");
});
