import { afterEach, expect, test, vi } from "vitest";

import { suggestionsFor, SuggestionsFailed } from "@/suggestions";

/** Answers the next request with these pieces, one after the other. */
function answer(pieces: string[], init: ResponseInit = {}) {
  const cancelled = vi.fn();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(piece));
    },
    cancel: cancelled,
  });
  const fetched = vi.fn(() => Promise.resolve(new Response(body, init)));
  vi.stubGlobal("fetch", fetched);
  return { fetched, cancelled };
}

async function collect(text = "text") {
  const titles: string[] = [];
  try {
    const stream = suggestionsFor(text, new AbortController().signal);
    for await (const { title, due_date } of stream) titles.push(`${title} ${due_date}`);
  } catch (error) {
    return { titles, error };
  }
  return { titles };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

test("todos are read one by one from any pieces of the stream", async () => {
  const stream =
    'event: todo\ndata: {"title":"Fähre","due_date":"2026-11-23"}\n\n' +
    'event: todo\r\ndata: {"title":"Pack","due_date":null}\r\n\r\nevent: done\ndata: {}\n\n';
  answer([...stream]);
  expect(await collect()).toEqual({ titles: ["Fähre 2026-11-23", "Pack null"] });
});

test("the text is sent unchanged", async () => {
  const { fetched } = answer(["event: done\ndata: {}\n\n"]);
  await collect('say "x"');
  expect(fetched).toHaveBeenCalledWith(
    "/api/suggestions",
    expect.objectContaining({ method: "POST", body: '{"text":"say \\"x\\""}' }),
  );
});

test("a failure midway is thrown after the earlier todos", async () => {
  answer([
    'event: todo\ndata: {"title":"Pack","due_date":null}\n\n',
    'event: problem\ndata: {"code":"ai.failed","detail":"the model broke off"}\n\n',
  ]);
  const { titles, error } = await collect();
  expect(titles).toEqual(["Pack null"]);
  expect(error).toEqual(new SuggestionsFailed("the model broke off", 502));
});

test("a stream without its last event is a failure", async () => {
  answer(['event: todo\ndata: {"title":"Pack","due_date":null}\n\n']);
  const { error } = await collect();
  expect(error).toBeInstanceOf(SuggestionsFailed);
});

test.each([
  ['{"detail":"log in first"}', 401, "log in first"],
  ["<h1>Bad gateway</h1>", 502, "the suggestions broke off; please try again"],
])("a refusal (%s) is thrown", async (body, status, message) => {
  answer([body], { status });
  const { error } = await collect();
  expect(error).toMatchObject({ status, message });
});

test("a reader that stops ends the stream", async () => {
  const event = 'event: todo\ndata: {"title":"Pack","due_date":null}\n\n';
  const { cancelled } = answer(Array<string>(100).fill(event));
  for await (const { title } of suggestionsFor("text", new AbortController().signal)) {
    expect(title).toBe("Pack");
    break;
  }
  await vi.waitFor(() => expect(cancelled).toHaveBeenCalled());
});
