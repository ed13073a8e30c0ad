/** The stream of suggested todos, read by the browser from this server. */
import { EventSourceParserStream } from "eventsource-parser/stream";

export interface Suggestion {
  title: string;
  due_date: string | null;
}

/** The reason of an incomplete stream, e.g. an ended session. */
export class SuggestionsFailed extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

const BROKEN_OFF = "the suggestions broke off; please try again";

/** Longer than any list of todos in words. */
const LONGEST_EVENT = 64 * 1024;

/**
 * The todos in a text, each as soon as it is known.
 *
 * Throws `SuggestionsFailed` if the server refuses or fails midway, and the error of `fetch` if the server
 * is unreachable or `signal` is aborted.
 */
export async function* suggestionsFor(text: string, signal: AbortSignal): AsyncGenerator<Suggestion> {
  const response = await fetch("/api/suggestions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
    signal,
  });
  if (!response.ok || !response.body) {
    throw failure(await response.json().catch(() => ({})), response.status);
  }
  const events = response.body
    .pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .pipeThrough(new EventSourceParserStream({ maxBufferSize: LONGEST_EVENT }));
  const reader = events.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // A stream that simply ends was cut off: its last event is `done`.
      if (done) throw new SuggestionsFailed(BROKEN_OFF, 502);
      if (value.event === "done") return;
      const data: unknown = JSON.parse(value.data);
      if (value.event === "problem") throw failure(data, 502);
      if (value.event === "todo") yield suggestionOf(data);
    }
  } finally {
    // This also stops the server if the caller stops reading.
    await reader.cancel().catch(() => undefined);
  }
}

function failure(problem: unknown, status: number): SuggestionsFailed {
  const { detail } = problem as { detail?: unknown };
  return new SuggestionsFailed(typeof detail === "string" ? detail : BROKEN_OFF, status);
}

function suggestionOf(data: unknown): Suggestion {
  const { title, due_date } = data as { title?: unknown; due_date?: unknown };
  return { title: String(title), due_date: typeof due_date === "string" ? due_date : null };
}
