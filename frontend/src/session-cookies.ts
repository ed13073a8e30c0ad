/** The cookies that make a session. */
import type { Tokens } from "@/backend";

export const ACCESS = "session";
export const REFRESH = "refresh";

export interface Cookie {
  name: string;
  value: string;
  httpOnly: true;
  sameSite: "lax";
  secure: boolean;
  path: "/";
  maxAge: number;
}

/**
 * The cookies for these tokens, inaccessible to scripts and to other sites' forms. The access token's
 * cookie expires a little before the token, so that a received token is still valid.
 */
export function sessionCookies(tokens: Tokens, secure: boolean): Cookie[] {
  const cookie = (name: string, value: string, maxAge: number): Cookie => ({
    name,
    value,
    httpOnly: true,
    sameSite: "lax",
    secure,
    path: "/",
    maxAge,
  });
  return [
    cookie(ACCESS, tokens.access_token, Math.floor(tokens.expires_in * 0.9)),
    cookie(REFRESH, tokens.refresh_token, tokens.refresh_expires_in),
  ];
}

/** Whether the browser uses https, possibly to a proxy in front of this server. */
export function isHttps(headers: Headers): boolean {
  return headers.get("x-forwarded-proto")?.split(",")[0]?.trim() === "https";
}
