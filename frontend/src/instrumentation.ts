/** Next calls `register` once, when its server starts. */
export async function register(): Promise<void> {
  if (process.env["NEXT_RUNTIME"] === "nodejs") {
    const { letConnectionsEnd } = await import("@/shutdown");
    letConnectionsEnd();
  }
}
