import { beforeEach, expect, test, vi } from "vitest";

import type { Answer, Tokens } from "@/backend";

const jar = new Map<string, string>();
const cookies = {
  get: (name: string) => (jar.has(name) ? { value: jar.get(name) } : undefined),
  set: vi.fn(),
  delete: vi.fn(),
};
const headers = new Headers();
const redirect = vi.fn((path: string) => {
  // Throws like Next's own, so that nothing after it runs.
  throw new Error(`redirect to ${path}`);
});
const backend = {
  UNREACHABLE: { status: 503, code: "backend.unreachable", detail: "no answer" },
  register: vi.fn(),
  logIn: vi.fn(),
  logOut: vi.fn(),
  createTodo: vi.fn(),
  changeTodo: vi.fn(),
  deleteTodo: vi.fn(),
};

vi.mock("server-only", () => ({}));
vi.mock("next/headers", () => ({
  cookies: () => Promise.resolve(cookies),
  headers: () => Promise.resolve(headers),
}));
vi.mock("next/navigation", () => ({ redirect }));
vi.mock("next/cache", () => ({ revalidatePath: vi.fn() }));
vi.mock("@/backend", () => backend);

const actions = await import("@/actions");

const TOKENS: Answer<Tokens> = {
  ok: true,
  value: {
    access_token: "t0ken",
    refresh_token: "n3xt",
    expires_in: 900,
    refresh_expires_in: 86_400,
  },
};

function form(fields: Record<string, string>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  return data;
}

function problem(status: number, detail: string) {
  return { ok: false, problem: { status, code: "x", detail } };
}

function created(title: string) {
  return { ok: true, value: { id: "1", title } };
}

const credentials = { email: "anna@example.com", password: "correct horse" };

beforeEach(() => {
  vi.clearAllMocks();
  for (const name of [...headers.keys()]) headers.delete(name);
  jar.clear();
  jar.set("session", "t0ken").set("refresh", "n3xt");
});

test("registration logs in, with cookies that scripts cannot read", async () => {
  backend.register.mockResolvedValue({ ok: true, value: { id: "1", email: credentials.email } });
  backend.logIn.mockResolvedValue(TOKENS);
  await expect(actions.register({}, form(credentials))).rejects.toThrow("redirect to /");
  expect(backend.register).toHaveBeenCalledWith(credentials);
  const attributes = { httpOnly: true, sameSite: "lax", secure: false, path: "/" };
  expect(cookies.set.mock.calls).toEqual([
    [{ name: "session", value: "t0ken", maxAge: 810, ...attributes }],
    [{ name: "refresh", value: "n3xt", maxAge: 86_400, ...attributes }],
  ]);
});

test("over https the cookies are for https only", async () => {
  headers.set("x-forwarded-proto", "https");
  backend.logIn.mockResolvedValue(TOKENS);
  await expect(actions.logIn({}, form(credentials))).rejects.toThrow("redirect to /");
  for (const [cookie] of cookies.set.mock.calls) expect(cookie).toMatchObject({ secure: true });
});

test.each([
  ["/?status=open", "redirect to /?status=open"],
  ["//elsewhere.example", "redirect to /"],
])("a log-in with next=%s redirects only within this site", async (next, expected) => {
  backend.logIn.mockResolvedValue(TOKENS);
  const sent = form({ ...credentials, next });
  await expect(actions.logIn({}, sent)).rejects.toThrow(new Error(expected));
});

test("a refused log-in shows the error and keeps the address, not the password", async () => {
  backend.logIn.mockResolvedValue(problem(401, "the e-mail address or password is wrong"));
  expect(await actions.logIn({}, form(credentials))).toEqual({
    error: "The e-mail address or password is wrong.",
    typed: { email: credentials.email },
  });
  expect(cookies.set).not.toHaveBeenCalled();
});

test("a log-out ends the session here and in the backend, even without its response", async () => {
  backend.logOut.mockResolvedValue(problem(503, "no answer"));
  await expect(actions.logOut()).rejects.toThrow("redirect to /login");
  expect(backend.logOut).toHaveBeenCalledWith("n3xt");
  expect(cookies.delete.mock.calls).toEqual([["session"], ["refresh"]]);
});

test("a todo is added with or without a due date", async () => {
  backend.createTodo.mockResolvedValue(created("Water"));
  expect(await actions.addTodo({}, form({ title: "Water", due_date: "2026-11-21" }))).toEqual({
    done: "Added: Water",
  });
  await actions.addTodo({}, form({ title: "Water", due_date: "" }));
  expect(backend.createTodo.mock.calls).toEqual([
    ["t0ken", { title: "Water", due_date: "2026-11-21" }],
    ["t0ken", { title: "Water", due_date: null }],
  ]);
});

test("a refused text is kept in the form", async () => {
  const sent = form({ id: "1", title: "long", due_date: "2026-11-21" });
  const refused = {
    error: "Title: too long.",
    typed: { title: "long", due_date: "2026-11-21" },
  };
  backend.createTodo.mockResolvedValue(problem(422, "title: too long"));
  expect(await actions.addTodo({}, sent)).toEqual(refused);
  backend.changeTodo.mockResolvedValue(problem(422, "title: too long"));
  expect(await actions.editTodo({}, sent)).toEqual(refused);
});

test("an edit can remove the due date", async () => {
  backend.changeTodo.mockResolvedValue(created("Water"));
  await actions.editTodo({}, form({ id: "1", title: "Water", due_date: "" }));
  expect(backend.changeTodo).toHaveBeenCalledWith("t0ken", "1", { title: "Water", due_date: null });
});

test("deletion of an already deleted todo succeeds", async () => {
  backend.deleteTodo.mockResolvedValue(problem(404, "there is no such todo"));
  expect(await actions.deleteTodo({}, form({ id: "1" }))).toEqual({});
});

test("an ended session redirects to the log-in page, and back from there", async () => {
  headers.set("x-asked-for", "/?search=tea");
  backend.changeTodo.mockResolvedValue(problem(401, "log in first"));
  const change = form({ id: "1", completed: "true" });
  await expect(actions.completeTodo({}, change)).rejects.toThrow(
    new Error("redirect to /login?expired=1&next=%2F%3Fsearch%3Dtea"),
  );
  expect(backend.changeTodo).toHaveBeenCalledWith("t0ken", "1", { completed: true });
});

test.each([[], [["refresh", ""]]])("without a session no request is sent (%j)", async (...left) => {
  jar.clear();
  for (const [name, value] of left) jar.set(name ?? "", value ?? "");
  await expect(actions.addTodo({}, form({ title: "x" }))).rejects.toThrow("redirect to /login");
  expect(backend.createTodo).not.toHaveBeenCalled();
});

test("a failed renewal does not end the session", async () => {
  jar.delete("session");
  expect(await actions.addTodo({}, form({ title: "x" }))).toEqual({
    error: "No answer.",
    typed: { title: "x", due_date: "" },
  });
  expect(backend.createTodo).not.toHaveBeenCalled();
});

test("suggestions become todos one by one until a failure, and are counted", async () => {
  const suggestions = ["a", "b", "c"].map((title) => ({ title, due_date: null }));
  backend.createTodo.mockResolvedValue(created("x"));
  expect(await actions.acceptSuggestions(suggestions)).toEqual({ accepted: 3 });
  backend.createTodo.mockResolvedValueOnce(created("a"));
  backend.createTodo.mockResolvedValueOnce(problem(503, "the database does not answer"));
  expect(await actions.acceptSuggestions(suggestions)).toEqual({
    accepted: 1,
    error: "The database does not answer.",
  });
});
