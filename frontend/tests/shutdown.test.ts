import { Agent, createServer, get } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { letConnectionsEnd } from "@/shutdown";

/** What the operating system's signal would call. */
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

test("once told to stop, the server ends each connection with its next answer", async () => {
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

test("a connection that never ends does not hold the server for ever", () => {
  const exit = vi.spyOn(process, "exit").mockImplementation(() => undefined as never);
  stop();
  vi.advanceTimersByTime(4_999);
  expect(exit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(exit).toHaveBeenCalledWith(0);
});
