/** Forwards a text to the backend, and streams the suggested todos back. */
import { type Problem, suggestTodos } from "@/backend";
import { currentToken } from "@/session";
import { currentDay } from "@/today";

/** More than the longest text that the backend accepts, in any encoding. */
const MOST_BYTES = 64 * 1024;

export async function POST(request: Request): Promise<Response> {
  const size = Number.parseInt(request.headers.get("content-length") ?? "", 10);
  if (!(size <= MOST_BYTES)) {
    return refusal({ status: 413, code: "request.too_large", detail: "the text is too long" });
  }
  const text = await textOf(request);
  if (text === undefined) {
    return refusal({ status: 400, code: "request.invalid", detail: "say in words what is to be done" });
  }
  const token = await currentToken();
  const note = { text, today: await currentDay() };
  const answer = token.ok ? await suggestTodos(token.value, note, request.signal) : token;
  if (!answer.ok) return refusal(answer.problem);
  return new Response(answer.value.body, {
    // Proxies must not buffer the stream, not even for compression.
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-store, no-transform",
      "X-Accel-Buffering": "no",
    },
  });
}

async function textOf(request: Request): Promise<string | undefined> {
  const body: unknown = await request.json().catch(() => undefined);
  const text = (body as { text?: unknown } | null | undefined)?.text;
  return typeof text === "string" && text.trim() ? text : undefined;
}

function refusal(problem: Problem): Response {
  const headers = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };
  return Response.json(problem, { status: problem.status, headers });
}
