/** The address of the log-in page, and the way back. */

/** The proxy's header with the requested page, because a page does not receive its own address. */
export const ASKED_FOR = "x-asked-for";

/** The path if it belongs to this site, or `/`, so that an address cannot redirect to another site. */
export function pathWithin(path: string | undefined): string {
  if (!path?.startsWith("/")) return "/";
  const here = "http://here.invalid";
  try {
    const url = new URL(path, here);
    return url.origin === here ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}

/** The log-in page, which returns to `path` and reports an ended session. */
export function logInAddress(path: string, ended: boolean): string {
  const query = new URLSearchParams();
  if (ended) query.set("expired", "1");
  if (pathWithin(path) !== "/") query.set("next", pathWithin(path));
  return query.size > 0 ? `/login?${query}` : "/login";
}
