/** The way to the log-in page and back. */

/** The header in which the proxy says which page was asked for: a page is not told its own address. */
export const ASKED_FOR = "x-asked-for";

/** A path of this site, or its start: what an address says may lead nowhere else. */
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

/** The log-in page, which leads back to `path`, and says why one is there if a session has ended. */
export function logInAddress(path: string, ended: boolean): string {
  const query = new URLSearchParams();
  if (ended) query.set("expired", "1");
  if (pathWithin(path) !== "/") query.set("next", pathWithin(path));
  return query.size > 0 ? `/login?${query}` : "/login";
}
