import { NextRequest } from "next/server";
import { beforeEach, expect, test, vi } from "vitest";

const refresh = vi.fn();

vi.mock("server-only", () => ({}));
vi.mock("@/backend", () => ({ refresh }));

const { proxy } = await import("@/proxy");

const TOKENS = {
  access_token: "new",
  refresh_token: "next",
  expires_in: 900,
  refresh_expires_in: 86_400,
};

function ask(
  path: string,
  cookie: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
) {
  const all = { host: "todo.example", ...(cookie && { cookie }), ...headers };
  return proxy(new NextRequest(`http://todo.example${path}`, { method, headers: all }));
}

/** What the page is told, by Next's way of telling it. */
function told(response: Response, name: string): string | null {
  return response.headers.get(`x-middleware-request-${name}`);
}

beforeEach(() => {
  vi.clearAllMocks();
});

test("an open session is let through as it is", async () => {
  const response = await ask("/?status=open", "session=now; refresh=old");
  expect(response.headers.get("location")).toBeNull();
  expect(response.headers.getSetCookie()).toEqual([]);
  expect(told(response, "x-asked-for")).toBe("/?status=open");
  expect(refresh).not.toHaveBeenCalled();
});

test("who is not logged in is shown the way in, and back", async () => {
  const response = await ask("/?status=open", "");
  expect(response.headers.get("location")).toBe(
    "http://todo.example/login?next=%2F%3Fstatus%3Dopen",
  );
  expect((await ask("/login", "")).headers.get("location")).toBeNull();
  expect((await ask("/register", "")).headers.get("location")).toBeNull();
});

test("a session is renewed for the page and for the browser", async () => {
  refresh.mockResolvedValue({ ok: true, value: TOKENS });
  const response = await ask("/", "refresh=old");
  expect(refresh).toHaveBeenCalledWith("old");
  expect(told(response, "cookie")).toBe("refresh=next; session=new");
  const [session, next] = response.headers.getSetCookie();
  expect(session).toMatch(/^session=new; Path=\/;.*Max-Age=810; HttpOnly; SameSite=lax$/i);
  expect(next).toMatch(/^refresh=next; Path=\/;.*Max-Age=86400; HttpOnly; SameSite=lax$/i);
});

test("behind https the renewed cookies are for https only", async () => {
  refresh.mockResolvedValue({ ok: true, value: TOKENS });
  const response = await ask("/", "refresh=old", { headers: { "x-forwarded-proto": "https, http" } });
  for (const cookie of response.headers.getSetCookie()) expect(cookie).toContain("Secure");
  expect(response.headers.get("content-security-policy")).toContain("upgrade-insecure-requests");
});

test("a session that is not renewed has ended, and it is said", async () => {
  refresh.mockResolvedValue({ ok: false, problem: { status: 401 } });
  const response = await ask("/?due=today", "refresh=old");
  expect(response.headers.get("location")).toBe(
    "http://todo.example/login?expired=1&next=%2F%3Fdue%3Dtoday",
  );
  expect(response.headers.getSetCookie()[0]).toMatch(/^refresh=; Path=\/; Expires=Thu, 01 Jan 1970/);
  // A form is answered by its action, which sees no session either.
  const sent = await ask("/", "refresh=old", { method: "POST" });
  expect(sent.headers.get("location")).toBeNull();
  expect(told(sent, "cookie") ?? "").not.toContain("refresh");
});

test("where the backend does not answer, the session is not given up", async () => {
  refresh.mockResolvedValue({ ok: false, problem: { status: 503 } });
  const response = await ask("/", "refresh=old");
  expect(response.headers.get("location")).toBeNull();
  expect(response.headers.getSetCookie()).toEqual([]);
  expect(told(response, "cookie")).toBe("refresh=old");
});

test("each page has a nonce of its own, and nothing inline without it", async () => {
  const policies = await Promise.all(
    [1, 2].map(async () => (await ask("/", "session=now")).headers.get("content-security-policy")),
  );
  expect(new Set(policies).size).toBe(2);
  for (const policy of policies) {
    expect(policy).toMatch(/script-src 'self' 'nonce-[\w+/=]{24}' 'strict-dynamic'(;|$)/);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(policy).not.toContain("upgrade-insecure-requests");
  }
});

test.each([
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
  { origin: "http://todo.example:8080" },
  { origin: "https://elsewhere.example" },
  { origin: "null" },
])("what another site sends is refused (%j)", async (headers) => {
  const response = await ask("/", "session=now", { method: "POST", headers });
  expect(response.status).toBe(403);
});

test.each<Record<string, string>>([
  { "sec-fetch-site": "same-origin", origin: "http://todo.example" },
  { origin: "https://public.example", "x-forwarded-host": "public.example" },
  {},
])("what a page of this site sends is let through (%j)", async (headers) => {
  const response = await ask("/", "session=now", { method: "POST", headers });
  expect(response.status).toBe(200);
});
