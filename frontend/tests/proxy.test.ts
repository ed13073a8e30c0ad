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

/** A request header of the page, as Next passes it on. */
function passedOn(response: Response, name: string): string | null {
  return response.headers.get(`x-middleware-request-${name}`);
}

beforeEach(() => {
  vi.clearAllMocks();
});

test("an open session is passed unchanged", async () => {
  const response = await ask("/?status=open", "session=now; refresh=old");
  expect(response.headers.get("location")).toBeNull();
  expect(response.headers.getSetCookie()).toEqual([]);
  expect(passedOn(response, "x-asked-for")).toBe("/?status=open");
  expect(refresh).not.toHaveBeenCalled();
});

test("a request without a session is redirected to the log-in page, with a way back", async () => {
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
  expect(passedOn(response, "cookie")).toBe("refresh=next; session=new");
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

test("a refused renewal ends the session, which is reported", async () => {
  refresh.mockResolvedValue({ ok: false, problem: { status: 401 } });
  const response = await ask("/?due=today", "refresh=old");
  expect(response.headers.get("location")).toBe(
    "http://todo.example/login?expired=1&next=%2F%3Fdue%3Dtoday",
  );
  expect(response.headers.getSetCookie()[0]).toMatch(/^refresh=; Path=\/; Expires=Thu, 01 Jan 1970/);
  // A form reaches its action without a session.
  const sent = await ask("/", "refresh=old", { method: "POST" });
  expect(sent.headers.get("location")).toBeNull();
  expect(passedOn(sent, "cookie") ?? "").not.toContain("refresh");
});

test("the session is kept if the backend does not answer", async () => {
  refresh.mockResolvedValue({ ok: false, problem: { status: 503 } });
  const response = await ask("/", "refresh=old");
  expect(response.headers.get("location")).toBeNull();
  expect(response.headers.getSetCookie()).toEqual([]);
  expect(passedOn(response, "cookie")).toBe("refresh=old");
});

test("each page has its own nonce, and forbids inline content without it", async () => {
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
])("requests from another site are refused (%j)", async (headers) => {
  const response = await ask("/", "session=now", { method: "POST", headers });
  expect(response.status).toBe(403);
});

test.each<Record<string, string>>([
  { "sec-fetch-site": "same-origin", origin: "http://todo.example" },
  { origin: "https://public.example", "x-forwarded-host": "public.example" },
  {},
])("requests from this site are accepted (%j)", async (headers) => {
  const response = await ask("/", "session=now", { method: "POST", headers });
  expect(response.status).toBe(200);
});
