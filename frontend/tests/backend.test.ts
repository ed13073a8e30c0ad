import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { EVERYTHING } from "@/filter";

vi.mock("server-only", () => ({}));

const backend = await import("@/backend");

interface Reply {
  status: number;
  type?: string;
  body?: string;
}

/** A fake backend that answers with `reply` and records requests. */
let server: Server;
let reply: Reply | ((url: string) => Reply);
let asked: { method: string; url: string; authorization: string | undefined; body: string }[];

async function read(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

beforeEach(async () => {
  asked = [];
  server = createServer(async (request, response) => {
    asked.push({
      method: request.method ?? "",
      url: request.url ?? "",
      authorization: request.headers.authorization,
      body: await read(request),
    });
    const answer = typeof reply === "function" ? reply(request.url ?? "") : reply;
    response.writeHead(answer.status, { "Content-Type": answer.type ?? "application/json" });
    response.end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env["BACKEND_URL"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(async () => {
  vi.restoreAllMocks();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
});

test("sends the token and the body, and returns the response", async () => {
  reply = { status: 201, body: '{"id":"1","title":"Water"}' };
  const answer = await backend.createTodo("t0ken", { title: "Water", due_date: null });
  expect(answer).toEqual({ ok: true, value: { id: "1", title: "Water" } });
  expect(asked).toEqual([
    {
      method: "POST",
      url: "/todos",
      authorization: "Bearer t0ken",
      body: '{"title":"Water","due_date":null}',
    },
  ]);
});

test("a response without content is a success", async () => {
  reply = { status: 204 };
  expect(await backend.deleteTodo("t", "1")).toEqual({ ok: true, value: undefined });
});

test("an id from a form cannot lead to another path", async () => {
  reply = { status: 204 };
  await backend.deleteTodo("t", "../auth/me?x");
  expect(asked[0]?.url).toBe("/todos/..%2Fauth%2Fme%3Fx");
});

test("a problem document is passed on", async () => {
  reply = {
    status: 409,
    type: "application/problem+json",
    body: '{"code":"email-taken","detail":"there is an account"}',
  };
  expect(await backend.register({ email: "a@example.com", password: "p" })).toEqual({
    ok: false,
    problem: { status: 409, code: "email-taken", detail: "there is an account" },
  });
});

test.each<Reply>([
  { status: 502, type: "text/html", body: "<h1>Bad gateway</h1>" },
  { status: 500, type: "application/problem+json", body: "{}" },
  { status: 200, body: "no JSON" },
  { status: 500, type: "application/problem+json", body: "no JSON" },
])("an invalid response ($status $body) is an unreachable backend", async (useless) => {
  reply = useless;
  const answer = await backend.listTodos("t", EVERYTHING, "2026-11-21", 20);
  expect(answer.ok).toBe(false);
  if (!answer.ok) expect(answer.problem.detail).toMatch(/does not answer at the moment/);
});

test("a refused connection is an unreachable backend", async () => {
  await new Promise((resolve) => server.close(resolve));
  const answer = await backend.listTodos("t", EVERYTHING, "2026-11-21", 20);
  expect(answer).toMatchObject({ ok: false, problem: { code: "backend.unreachable" } });
  expect(console.error).toHaveBeenCalledWith(
    expect.stringContaining("GET /todos"),
    expect.stringContaining("ECONNREFUSED"),
  );
});

test("a GET on a broken connection is repeated", async () => {
  reply = pageOf(1);
  const answering = server.listeners("request") as ((...heard: unknown[]) => void)[];
  server.removeAllListeners("request");
  let broken = 0;
  server.on("request", (request: IncomingMessage, response) => {
    if (broken === 2) return answering.forEach((answer) => answer(request, response));
    broken += 1;
    request.socket.destroy();
  });
  const answer = await backend.listTodos("t", EVERYTHING, "2026-11-21", 20);
  expect(answer).toMatchObject({ ok: true, value: { todos: [{ id: "0" }] } });
  expect(broken).toBe(2);
  expect(console.error).not.toHaveBeenCalled();
});

test("a change is never repeated", async () => {
  server.removeAllListeners("request");
  let heard = 0;
  server.on("request", (request: IncomingMessage) => {
    heard += 1;
    request.socket.destroy();
  });
  const answer = await backend.createTodo("t", { title: "Water", due_date: null });
  expect(answer).toMatchObject({ ok: false, problem: { code: "backend.unreachable" } });
  expect(heard).toBe(1);
});

/** A page of a list of `all` todos, with the requested number. */
function pageOf(all: number) {
  return (url: string): Reply => {
    const query = new URL(url, "http://backend").searchParams;
    const from = Number(query.get("cursor") ?? 0);
    const to = Math.min(all, from + Number(query.get("limit")));
    const items = Array.from({ length: to - from }, (_, index) => ({ id: String(from + index) }));
    return { status: 200, body: JSON.stringify({ items, next_cursor: to < all ? String(to) : null }) };
  };
}

test.each([
  { all: 0, count: 20, shown: 0, more: false, calls: 1 },
  { all: 20, count: 20, shown: 20, more: false, calls: 1 },
  { all: 21, count: 20, shown: 20, more: true, calls: 1 },
  { all: 250, count: 220, shown: 220, more: true, calls: 3 },
  { all: 150, count: 220, shown: 150, more: false, calls: 2 },
])("of $all todos the first $count are listed", async ({ all, count, shown, more, calls }) => {
  reply = pageOf(all);
  const answer = await backend.listTodos("t", EVERYTHING, "2026-11-21", count);
  expect(answer).toMatchObject({ ok: true, value: { more } });
  if (answer.ok) expect(answer.value.todos.map(({ id }) => id)).toEqual([...Array(shown).keys()].map(String));
  expect(asked).toHaveLength(calls);
});

test("the request of the list has the filter and the user's date", async () => {
  reply = pageOf(0);
  await backend.listTodos("t", { search: "a&b", status: "open", due: "overdue" }, "2026-11-21", 20);
  expect(asked[0]?.url).toBe(
    "/todos?search=a%26b&status=open&due=overdue&today=2026-11-21&limit=20",
  );
});

test("a failed list does not log the search term", async () => {
  await new Promise((resolve) => server.close(resolve));
  await backend.listTodos("t", { ...EVERYTHING, search: "private" }, "2026-11-21", 20);
  expect(JSON.stringify(vi.mocked(console.error).mock.calls)).not.toContain("private");
});

test("suggestions are off if the backend lacks them or does not answer", async () => {
  reply = { status: 200, body: '{"available":true}' };
  expect(await backend.canSuggest("t")).toBe(true);
  reply = { status: 200, body: '{"available":false}' };
  expect(await backend.canSuggest("t")).toBe(false);
  reply = { status: 500 };
  expect(await backend.canSuggest("t")).toBe(false);
});

test("suggestions end when the reader stops", async () => {
  const listening = new AbortController();
  listening.abort();
  const note = { text: "text", today: "2026-11-21" };
  const answer = await backend.suggestTodos("t", note, listening.signal);
  expect(answer).toMatchObject({ ok: false, problem: { code: "backend.unreachable" } });
});
