/**
 * The app during an outage of the backend. TODO_STOP_BACKEND and TODO_START_BACKEND are the commands that
 * stop and start the backend.
 */
import assert from "node:assert/strict";
import { execSync } from "node:child_process";
import { after, test } from "node:test";

import {
  addTodo,
  expectGoodLooks,
  inWindow,
  LOOKS,
  register,
  waitFor,
  waitForTitles,
} from "./browser.js";

const stopBackend = () => execSync(process.env.TODO_STOP_BACKEND, { stdio: "pipe" });
const startBackend = () => execSync(process.env.TODO_START_BACKEND, { stdio: "pipe" });

after(startBackend);

test("an outage of the backend is reported, loses nothing, and ends with the backend's return", async () => {
  await inWindow(async (page, context) => {
    await register(page);
    await addTodo(page, "Was there before");
    const session = await context.storageState();
    stopBackend();

    // The typed text stays, with the reason of the failure.
    await page.getByLabel("What is to be done?").fill("Not lost");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    const said = page.getByRole("alert").filter({ hasText: "does not answer" });
    await page.locator(".add").locator(said).waitFor();
    assert.equal(await page.getByLabel("What is to be done?").inputValue(), "Not lost");

    for (const [look, options] of Object.entries(LOOKS)) {
      await inWindow(async (page) => {
        await page.goto("/");
        await page.getByLabel("What is to be done?").fill("Not lost");
        await page.getByRole("button", { name: "Add", exact: true }).click();
        await page.locator(".add").getByRole("alert").filter({ hasText: "does not answer" }).waitFor();
        await page.getByRole("link", { name: "Try again" }).waitFor();
        await expectGoodLooks(page, `outage-${look}`);
      }, { ...options, storageState: session });
    }

    // An expired session does not end either.
    await context.clearCookies({ name: "session" });
    await page.goto("/");
    await said.waitFor();

    startBackend();
    // A cluster's routes follow the readiness of pods with a delay of up to a second.
    await waitFor(async () => {
      await page.getByRole("link", { name: "Try again" }).click();
      await page.locator(".todo").waitFor({ timeout: 1_000 });
    });
    await waitForTitles(page, "Was there before");
  });
});
