/** Lets a server that is told to stop be done soon, with the requests answered that it had begun. */
import { subscribe } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";

/**
 * Longer than the backend is waited for (backend.ts), and less than a stopping container is given (the
 * chart). What takes longer still is cut off, suggestions that are on their way above all: the page says
 * so then, and they can be asked for again.
 */
export const DRAIN_MS = 12_000;

/**
 * A stopping server waits for its connections. A client that keeps one busy would hold it until it is
 * killed in the midst of an answer, so from then on each answer is its connection's last; and a
 * browser's spare connection, on which nothing was ever asked, must not hold it either.
 */
export function letConnectionsEnd(): void {
  process.once("SIGTERM", () => {
    subscribe("http.server.request.start", (message) => {
      (message as { response: ServerResponse }).response.shouldKeepAlive = false;
    });
    setTimeout(() => process.exit(0), DRAIN_MS).unref();
  });
}
