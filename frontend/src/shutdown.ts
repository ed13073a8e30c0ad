/** A soon and clean end on SIGTERM: running requests are answered first. */
import { subscribe } from "node:diagnostics_channel";
import type { ServerResponse } from "node:http";

/**
 * Longer than the timeout of the backend (backend.ts), and shorter than the grace period of the container
 * (the chart). Longer requests are cut off, mostly streams of suggestions: the page reports this, and the
 * user can retry.
 */
export const DRAIN_MS = 12_000;

/**
 * A stopping server waits for its connections. A client that keeps one busy would delay it until it is
 * killed during a response, so each response closes its connection from then on. A browser's unused spare
 * connection must not delay it either.
 */
export function letConnectionsEnd(): void {
  process.once("SIGTERM", () => {
    subscribe("http.server.request.start", (message) => {
      (message as { response: ServerResponse }).response.shouldKeepAlive = false;
    });
    setTimeout(() => process.exit(0), DRAIN_MS).unref();
  });
}
