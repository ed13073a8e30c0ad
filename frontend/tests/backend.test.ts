import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

vi.mock("server-only", () => ({}));

const backend = await import("@/backend");

interface Reply {
  status: number;
  type?: string;
  body?: string;
}

/** A server that speaks HTTP as the backend does, answers with `reply` and keeps what it was asked. */
let server: Server;
let reply: Reply;
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
    response.writeHead(reply.status, { "Content-Type": reply.type ?? "application/json" });
    response.end(reply.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.env["BACKEND_URL"] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(async () => {
  vi.restoreAllMocks();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
});

test("sends the token and the body, and gives back what was answered", async () => {
  reply = { status: 201, body: '{"id":"1","title":"Water"}' };
  const answer = await backend.createTodo("t0ken", "Water");
  expect(answer).toEqual({ ok: true, value: { id: "1", title: "Water" } });
  expect(asked).toEqual([
    { method: "POST", url: "/todos", authorization: "Bearer t0ken", body: '{"title":"Water"}' },
  ]);
});

test("an answer without content is no failure", async () => {
  reply = { status: 204 };
  expect(await backend.deleteTodo("t", "1")).toEqual({ ok: true, value: undefined });
});

test("todos come in pages", async () => {
  reply = { status: 200, body: '{"items":[{"id":"1","title":"Water"}],"next_cursor":null}' };
  expect(await backend.listTodos("t")).toEqual({ ok: true, value: [{ id: "1", title: "Water" }] });
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
])("an answer that is no use ($status $body) is told in our words", async (useless) => {
  reply = useless;
  const answer = await backend.listTodos("t");
  expect(answer.ok).toBe(false);
  if (!answer.ok) expect(answer.problem.detail).toMatch(/does not answer at the moment/);
});

test("a backend that is not there is told as such", async () => {
  await new Promise((resolve) => server.close(resolve));
  const answer = await backend.listTodos("t");
  expect(answer).toMatchObject({ ok: false, problem: { code: "backend-unreachable" } });
  expect(console.error).toHaveBeenCalledWith(
    expect.stringContaining("GET /todos"),
    expect.stringContaining("ECONNREFUSED"),
  );
});
