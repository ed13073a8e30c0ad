/** The user's session for pages and forms. The proxy renews it. */
import "server-only";

import { cookies, headers } from "next/headers";
import { redirect } from "next/navigation";

import { type Answer, type Problem, type Tokens, UNREACHABLE } from "@/backend";
import { ASKED_FOR, logInAddress } from "@/log-in-address";
import { ACCESS, isHttps, REFRESH, sessionCookies } from "@/session-cookies";

const NOT_LOGGED_IN: Problem = { status: 401, code: "session.missing", detail: "log in first" };

export async function openSession(tokens: Tokens): Promise<void> {
  const secure = isHttps(await headers());
  const jar = await cookies();
  for (const cookie of sessionCookies(tokens, secure)) jar.set(cookie);
}

/** Deletes the session's cookies; returns the token with which the backend can end it. */
export async function closeSession(): Promise<string | undefined> {
  const jar = await cookies();
  const refreshToken = jar.get(REFRESH)?.value;
  jar.delete(ACCESS);
  jar.delete(REFRESH);
  return refreshToken;
}

/** The access token; a problem without a session, or if its renewal failed. */
export async function currentToken(): Promise<Answer<string>> {
  const jar = await cookies();
  const token = jar.get(ACCESS)?.value;
  if (token) return { ok: true, value: token };
  // A cookie that the proxy has deleted in this request has an empty value.
  return { ok: false, problem: jar.get(REFRESH)?.value ? UNREACHABLE : NOT_LOGGED_IN };
}

/** Redirects to the log-in page, and back from there, if the session has ended. */
export async function leaveIfExpired(problem: Problem): Promise<void> {
  if (problem.status === 401) redirect(logInAddress((await headers()).get(ASKED_FOR) ?? "/", true));
}
