/** Client of the backend. Only this server uses it: browsers never see its address or a token. */
import "server-only";

import { type Filter, queryOf } from "@/filter";

export interface Todo {
  id: string;
  title: string;
  completed: boolean;
  /** A date as YYYY-MM-DD, independent of time zones. */
  due_date: string | null;
  created_at: string;
  updated_at: string;
}

export interface Account {
  id: string;
  email: string;
}

/** The tokens of a session. A refresh token can be used once and returns the next one. */
export interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
  refresh_expires_in: number;
}

export interface Credentials {
  email: string;
  password: string;
}

/** The fields of a todo that a user can set. */
export interface TodoFields {
  title: string;
  completed: boolean;
  due_date: string | null;
}

/** Todos from the top of the list, and whether more follow. */
export interface TodoList {
  todos: Todo[];
  more: boolean;
}

/** An error of the backend, with a text for users and a code for programs. */
export interface Problem {
  status: number;
  code: string;
  detail: string;
}

export type Answer<T> = { ok: true; value: T } | { ok: false; problem: Problem };

export const UNREACHABLE: Problem = {
  status: 503,
  code: "backend.unreachable",
  detail: "The service does not answer at the moment. Please try again in a little while.",
};

/** A stopping server waits longer than this (shutdown.ts). */
export const TIMEOUT_MS = 10_000;

/**
 * Pauses before a request is repeated. A stopping pod of the backend closes connections, possibly with a
 * running request, and still receives new ones for a moment.
 */
const PAUSES_MS = [50, 250, 700];

/** A language model is slow, but not without limit. */
const STREAM_TIMEOUT_MS = 120_000;

/** Maximum number of todos per call. */
const PAGE = 100;

type Method = "GET" | "POST" | "PATCH" | "DELETE";

interface Options {
  token?: string;
  body?: object;
}

/** Read at each call and not at build time: an image is built once and runs anywhere. */
function backendAddress(): string {
  return process.env["BACKEND_URL"] ?? "http://localhost:8000";
}

async function send(
  method: Method,
  path: string,
  accept: string,
  signal: AbortSignal,
  { token, body }: Options,
): Promise<Answer<Response>> {
  const headers = new Headers({ Accept: accept });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const init: RequestInit = { method, headers, cache: "no-store", signal };
  if (body) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(body);
  }
  const response = await fetch(new URL(path, backendAddress()), init);
  return response.ok
    ? { ok: true, value: response }
    : { ok: false, problem: await readProblem(response) };
}

async function call<T>(method: Method, path: string, options: Options = {}): Promise<Answer<T>> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  // A change may have taken effect without a response, so it is never repeated.
  const pauses = method === "GET" ? [...PAUSES_MS] : [];
  for (;;) {
    try {
      const answer = await send(method, path, "application/json", signal, options);
      if (!answer.ok) return answer;
      const value = answer.value.status === 204 ? undefined : await answer.value.json();
      return { ok: true, value: value as T };
    } catch (error) {
      const pause = isCutOff(error) ? pauses.shift() : undefined;
      if (pause === undefined) return unreachable(method, path, error);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** Whether the connection failed, rather than a timeout or an invalid response. */
function isCutOff(error: unknown): boolean {
  return error instanceof TypeError;
}

function unreachable(method: Method, path: string, error: unknown): { ok: false; problem: Problem } {
  // Search terms are private and not logged.
  console.error(`backend: ${method} ${path.split("?")[0]} failed:`, describe(error));
  return { ok: false, problem: UNREACHABLE };
}

async function readProblem(response: Response): Promise<Problem> {
  const isProblem = response.headers.get("content-type")?.startsWith("application/problem+json");
  const body: unknown = isProblem ? await response.json() : {};
  const { code, detail } = body as { code?: unknown; detail?: unknown };
  return {
    status: response.status,
    code: typeof code === "string" ? code : "unknown",
    detail: typeof detail === "string" ? detail : UNREACHABLE.detail,
  };
}

/** Describes an error with its cause, in which `fetch` hides the reason. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

const todoPath = (id: string) => `/todos/${encodeURIComponent(id)}`;

export const register = (credentials: Credentials) =>
  call<Account>("POST", "/auth/register", { body: credentials });

export const logIn = (credentials: Credentials) =>
  call<Tokens>("POST", "/auth/login", { body: credentials });

export const refresh = (refreshToken: string) =>
  call<Tokens>("POST", "/auth/refresh", { body: { refresh_token: refreshToken } });

export const logOut = (refreshToken: string) =>
  call<undefined>("POST", "/auth/logout", { body: { refresh_token: refreshToken } });

export const whoAmI = (token: string) => call<Account>("GET", "/auth/me", { token });

export const createTodo = (token: string, todo: Pick<TodoFields, "title" | "due_date">) =>
  call<Todo>("POST", "/todos", { token, body: todo });

export const changeTodo = (token: string, id: string, change: Partial<TodoFields>) =>
  call<Todo>("PATCH", todoPath(id), { token, body: change });

export const deleteTodo = (token: string, id: string) =>
  call<undefined>("DELETE", todoPath(id), { token });

/** The first `count` todos that match the filter, with `today` as the user's date. */
export async function listTodos(
  token: string,
  filter: Filter,
  today: string,
  count: number,
): Promise<Answer<TodoList>> {
  const todos: Todo[] = [];
  let cursor: string | null = null;
  do {
    const query = queryOf(filter);
    query.set("today", today);
    query.set("limit", String(Math.min(PAGE, count - todos.length)));
    if (cursor) query.set("cursor", cursor);
    const answer: Answer<{ items: Todo[]; next_cursor: string | null }> = await call(
      "GET",
      `/todos?${query}`,
      { token },
    );
    if (!answer.ok) return answer;
    todos.push(...answer.value.items);
    cursor = answer.value.next_cursor;
  } while (cursor && todos.length < count);
  return { ok: true, value: { todos, more: cursor !== null } };
}

/** Whether the backend can suggest todos; false if it does not answer. */
export async function canSuggest(token: string): Promise<boolean> {
  const answer = await call<{ available: boolean }>("GET", "/ai", { token });
  return answer.ok && answer.value.available;
}

/** The todos in a text, as a stream of events that ends when `listening` is aborted. */
export async function suggestTodos(
  token: string,
  note: { text: string; today: string },
  listening: AbortSignal,
): Promise<Answer<Response>> {
  const signal = AbortSignal.any([listening, AbortSignal.timeout(STREAM_TIMEOUT_MS)]);
  try {
    return await send("POST", "/ai/todos", "text/event-stream", signal, { token, body: note });
  } catch (error) {
    return unreachable("POST", "/ai/todos", error);
  }
}
