import { readFileSync } from "node:fs";
import { Agent, createServer, get } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { DRAIN_MS, letConnectionsEnd } from "@/shutdown";

vi.mock("server-only", () => ({}));

const { TIMEOUT_MS } = await import("@/backend");

/** The handler of the signal. */
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  vi.spyOn(process, "once").mockImplementation((signal, listener) => {
    expect(signal).toBe("SIGTERM");
    stop = listener as () => void;
    return process;
  });
  letConnectionsEnd();
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("after SIGTERM each response closes its connection", async () => {
  const server = createServer((_, response) => response.end("answer"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const connection = () =>
    new Promise<string | undefined>((resolve, reject) => {
      get({ host: "127.0.0.1", port, agent }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.headers.connection));
      }).on("error", reject);
    });

  expect(await connection()).toBe("keep-alive");
  stop();
  expect(await connection()).toBe("close");
  agent.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test("the time suffices for a slow backend and is within the grace period", () => {
  const template = (name: string) =>
    readFileSync(new URL(`../../helm/todo-app/templates/${name}`, import.meta.url), "utf8");
  const grace = /terminationGracePeriodSeconds: (\d+)/.exec(template("frontend-deployment.yaml"));
  const served = /preStop:\s+exec:\s+command: \["sleep", "(\d+)"\]/.exec(template("_helpers.tpl"));
  expect(DRAIN_MS).toBeGreaterThan(TIMEOUT_MS);
  expect(DRAIN_MS).toBeLessThan((Number(grace?.[1]) - Number(served?.[1])) * 1_000);
});

test("an endless connection does not delay the end without limit", () => {
  const exit = vi.spyOn(process, "exit").mockImplementation(() => undefined as never);
  stop();
  vi.advanceTimersByTime(DRAIN_MS - 1);
  expect(exit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(exit).toHaveBeenCalledWith(0);
});
