/** Runs before each request: checks its origin, renews its session, sets the page's policy. */
import { type NextRequest, NextResponse } from "next/server";

import { refresh } from "@/backend";
import { contentSecurityPolicy } from "@/content-security-policy";
import { ASKED_FOR, logInAddress } from "@/log-in-address";
import { ACCESS, type Cookie, isHttps, REFRESH, sessionCookies } from "@/session-cookies";

/** Pages outside of a session. */
const PUBLIC = new Set(["/login", "/register"]);

export const config = {
  // Not for static files and the cluster's probes.
  matcher: "/((?!_next/static|api/health$|icon.svg$|favicon.ico$).*)",
};

export async function proxy(request: NextRequest): Promise<NextResponse> {
  if (!isOwn(request)) return new NextResponse("Sent by another site", { status: 403 });

  const { pathname, search } = request.nextUrl;
  const session = await currentSession(request);
  const outside = session.state === "none" || session.state === "ended";
  if (isReading(request) && outside && !PUBLIC.has(pathname)) {
    const address = logInAddress(pathname + search, session.state === "ended");
    return withCookies(NextResponse.redirect(new URL(address, request.url)), session);
  }

  const headers = new Headers(request.headers);
  headers.set(ASKED_FOR, pathname + search);

  const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64");
  const development = process.env.NODE_ENV === "development";
  const policy = contentSecurityPolicy(nonce, isHttps(request.headers), development);
  // Next reads the nonce here and gives it to each script and style of the page.
  headers.set("Content-Security-Policy", policy);

  const response = NextResponse.next({ request: { headers } });
  response.headers.set("Content-Security-Policy", policy);
  return withCookies(response, session);
}

function isReading(request: NextRequest): boolean {
  return request.method === "GET" || request.method === "HEAD";
}

/**
 * Whether a request with side effects comes from a page of this site. Next checks this for its
 * actions as well, but accepts requests without an origin.
 */
function isOwn(request: NextRequest): boolean {
  if (isReading(request)) return true;
  const site = request.headers.get("sec-fetch-site");
  if (site && site !== "same-origin") return false;
  const origin = request.headers.get("origin");
  const host = request.headers.get("x-forwarded-host") ?? request.headers.get("host");
  return !origin || (URL.canParse(origin) && new URL(origin).host === host);
}

interface Session {
  /** Unsure: it has to be renewed, but the backend does not answer. */
  state: "open" | "none" | "ended" | "unsure";
  /** New cookies for the browser. */
  cookies: Cookie[];
}

/** The session of the request, renewed if needed, so that the page sees the new tokens as well. */
async function currentSession(request: NextRequest): Promise<Session> {
  if (request.cookies.has(ACCESS)) return { state: "open", cookies: [] };
  const refreshToken = request.cookies.get(REFRESH)?.value;
  if (!refreshToken) return { state: "none", cookies: [] };
  const renewal = await refresh(refreshToken);
  if (!renewal.ok) {
    if (renewal.problem.status !== 401) return { state: "unsure", cookies: [] };
    request.cookies.delete(REFRESH);
    return { state: "ended", cookies: [] };
  }
  const cookies = sessionCookies(renewal.value, isHttps(request.headers));
  for (const { name, value } of cookies) request.cookies.set(name, value);
  return { state: "open", cookies };
}

function withCookies(response: NextResponse, session: Session): NextResponse {
  for (const cookie of session.cookies) response.cookies.set(cookie);
  if (session.state === "ended") response.cookies.delete(REFRESH);
  return response;
}
