import { beforeEach, expect, test, vi } from "vitest";

import type { Answer, Token } from "@/backend";

const cookies = { get: vi.fn(), set: vi.fn(), delete: vi.fn() };
const headers = new Headers();
const redirect = vi.fn((path: string) => {
  // As Next's own: nothing after it runs.
  throw new Error(`redirect to ${path}`);
});
const backend = { register: vi.fn(), logIn: vi.fn(), createTodo: vi.fn(), completeTodo: vi.fn() };

vi.mock("server-only", () => ({}));
vi.mock("next/headers", () => ({
  cookies: () => Promise.resolve(cookies),
  headers: () => Promise.resolve(headers),
}));
vi.mock("next/navigation", () => ({ redirect }));
vi.mock("next/cache", () => ({ revalidatePath: vi.fn() }));
vi.mock("@/backend", () => backend);

const actions = await import("@/actions");

const TOKEN: Answer<Token> = { ok: true, value: { access_token: "t0ken", expires_in: 60 } };

function form(fields: Record<string, string>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  return data;
}

function problem(status: number, detail: string) {
  return { ok: false, problem: { status, code: "x", detail } };
}

const credentials = { email: "anna@example.com", password: "correct horse" };

beforeEach(() => {
  vi.clearAllMocks();
  headers.delete("x-forwarded-proto");
  cookies.get.mockReturnValue({ value: "t0ken" });
});

test("who registers is logged in, with a cookie out of reach of scripts", async () => {
  backend.register.mockResolvedValue({ ok: true, value: { id: "1", email: credentials.email } });
  backend.logIn.mockResolvedValue(TOKEN);
  await expect(actions.register({}, form(credentials))).rejects.toThrow("redirect to /");
  expect(backend.register).toHaveBeenCalledWith(credentials);
  expect(cookies.set).toHaveBeenCalledWith("session", "t0ken", {
    httpOnly: true,
    sameSite: "lax",
    secure: false,
    path: "/",
    maxAge: 60,
  });
});

test("over https the cookie is for https only", async () => {
  headers.set("x-forwarded-proto", "https");
  backend.logIn.mockResolvedValue(TOKEN);
  await expect(actions.logIn({}, form(credentials))).rejects.toThrow("redirect to /");
  expect(cookies.set.mock.calls[0]?.[2]).toMatchObject({ secure: true });
});

test("a refused log-in says why and keeps the address, not the password", async () => {
  backend.logIn.mockResolvedValue(problem(401, "the e-mail address or password is wrong"));
  expect(await actions.logIn({}, form(credentials))).toEqual({
    error: "The e-mail address or password is wrong.",
    typed: credentials.email,
  });
  expect(cookies.set).not.toHaveBeenCalled();
});

test("a title that is refused is not lost", async () => {
  backend.createTodo.mockResolvedValue(problem(422, "title: too long"));
  expect(await actions.addTodo({}, form({ title: "long" }))).toEqual({
    error: "Title: too long.",
    typed: "long",
  });
});

test("a session that has ended leads to the log-in page", async () => {
  backend.completeTodo.mockResolvedValue(problem(401, "log in first"));
  const change = form({ id: "1", completed: "true" });
  await expect(actions.completeTodo({}, change)).rejects.toThrow("redirect to /login?expired=1");
  expect(backend.completeTodo).toHaveBeenCalledWith("t0ken", "1", true);
});

test("without a session nothing is asked of the backend", async () => {
  cookies.get.mockReturnValue(undefined);
  await expect(actions.addTodo({}, form({ title: "x" }))).rejects.toThrow("redirect to /login");
  expect(backend.createTodo).not.toHaveBeenCalled();
});
