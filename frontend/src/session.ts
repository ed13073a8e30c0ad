/** The session of who is logged in, as pages and forms see it. Renewing it is the proxy's matter. */
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

/** Forgets the session here and gives the token by which the backend is to forget it too. */
export async function closeSession(): Promise<string | undefined> {
  const jar = await cookies();
  const refreshToken = jar.get(REFRESH)?.value;
  jar.delete(ACCESS);
  jar.delete(REFRESH);
  return refreshToken;
}

/** The access token, if somebody is logged in and the session did not just fail to be renewed. */
export async function currentToken(): Promise<Answer<string>> {
  const jar = await cookies();
  const token = jar.get(ACCESS)?.value;
  if (token) return { ok: true, value: token };
  // A cookie that the proxy has just taken away is here without a value.
  return { ok: false, problem: jar.get(REFRESH)?.value ? UNREACHABLE : NOT_LOGGED_IN };
}

/** A session that is over leads to the log-in page, and from there back; other problems are the caller's. */
export async function leaveIfExpired(problem: Problem): Promise<void> {
  if (problem.status === 401) redirect(logInAddress((await headers()).get(ASKED_FOR) ?? "/", true));
}
