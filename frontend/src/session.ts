/** The token of who is logged in: in a cookie that no script in the browser can read. */
import "server-only";

import { cookies, headers } from "next/headers";
import { redirect } from "next/navigation";

import type { Problem, Token } from "@/backend";

const COOKIE = "session";

export async function openSession(token: Token): Promise<void> {
  const secure = (await headers()).get("x-forwarded-proto") === "https";
  (await cookies()).set(COOKIE, token.access_token, {
    httpOnly: true,
    sameSite: "lax",
    secure,
    path: "/",
    maxAge: token.expires_in,
  });
}

export async function closeSession(): Promise<void> {
  (await cookies()).delete(COOKIE);
}

/** The token, or off to the log-in page. */
export async function requireToken(): Promise<string> {
  const token = (await cookies()).get(COOKIE)?.value;
  return token ?? redirect("/login");
}

/** A session that the backend no longer knows ends at the log-in page; other problems are the caller's. */
export function leaveIfExpired(problem: Problem): void {
  if (problem.status === 401) redirect("/login?expired=1");
}
