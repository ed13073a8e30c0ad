import { beforeEach, expect, test, vi } from "vitest";

const currentToken = vi.fn();
const suggestTodos = vi.fn();

vi.mock("@/session", () => ({ currentToken }));
vi.mock("@/today", () => ({ currentDay: () => Promise.resolve("2026-11-21") }));
vi.mock("@/backend", () => ({ suggestTodos }));

const { POST } = await import("@/app/api/suggestions/route");

function send(body: string, length = String(body.length)): Promise<Response> {
  const headers = { "content-length": length };
  return POST(new Request("http://todo.example/api/suggestions", { method: "POST", body, headers }));
}

beforeEach(() => {
  vi.clearAllMocks();
  currentToken.mockResolvedValue({ ok: true, value: "t0ken" });
});

test("the backend's stream is forwarded without buffering", async () => {
  suggestTodos.mockResolvedValue({ ok: true, value: new Response("event: done\ndata: {}\n\n") });
  const response = await send('{"text":"pack"}');
  const note = { text: "pack", today: "2026-11-21" };
  expect(suggestTodos).toHaveBeenCalledWith("t0ken", note, expect.any(AbortSignal));
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  expect(response.headers.get("cache-control")).toContain("no-transform");
  expect(await response.text()).toBe("event: done\ndata: {}\n\n");
});

test.each(["no JSON", "null", "{}", '{"text":5}', '{"text":"  "}'])("%s is not a text", async (body) => {
  expect((await send(body)).status).toBe(400);
  expect(suggestTodos).not.toHaveBeenCalled();
});

test.each(["65537", "many", ""])("a body that is too long or has no length is not read (%j)", async (length) => {
  expect((await send('{"text":"pack"}', length)).status).toBe(413);
  expect(suggestTodos).not.toHaveBeenCalled();
});

test.each([401, 503])("a refusal (%i) is returned as a problem document", async (status) => {
  const problem = { status, code: "x", detail: "why" };
  suggestTodos.mockResolvedValue({ ok: false, problem });
  const response = await send('{"text":"pack"}');
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(await response.json()).toEqual(problem);
});

test("without a session no request is sent to the backend", async () => {
  currentToken.mockResolvedValue({ ok: false, problem: { status: 401, code: "x", detail: "y" } });
  expect((await send('{"text":"pack"}')).status).toBe(401);
  expect(suggestTodos).not.toHaveBeenCalled();
});
