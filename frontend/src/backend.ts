/** Talks to the backend. Only this server does: no browser ever sees its address or a token. */
import "server-only";

export interface Todo {
  id: string;
  title: string;
  completed: boolean;
  created_at: string;
  updated_at: string;
}

export interface Account {
  id: string;
  email: string;
}

export interface Token {
  access_token: string;
  expires_in: number;
}

export interface Credentials {
  email: string;
  password: string;
}

/** What the backend says is wrong, in words for the user and with a code to act upon. */
export interface Problem {
  status: number;
  code: string;
  detail: string;
}

export type Answer<T> = { ok: true; value: T } | { ok: false; problem: Problem };

const UNREACHABLE: Problem = {
  status: 503,
  code: "backend-unreachable",
  detail: "The service does not answer at the moment. Please try again in a little while.",
};

const TIMEOUT_MS = 10_000;

/** Read at each call and not when the server is built: an image is built once and runs anywhere. */
function backendAddress(): string {
  return process.env["BACKEND_URL"] ?? "http://localhost:8000";
}

export async function call<T>(
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  options: { token?: string | undefined; body?: object } = {},
): Promise<Answer<T>> {
  const headers = new Headers({ Accept: "application/json" });
  if (options.token) headers.set("Authorization", `Bearer ${options.token}`);
  const init: RequestInit = {
    method,
    headers,
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
  if (options.body) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(options.body);
  }
  try {
    const response = await fetch(new URL(path, backendAddress()), init);
    if (!response.ok) return { ok: false, problem: await readProblem(response) };
    const value = response.status === 204 ? undefined : await response.json();
    return { ok: true, value: value as T };
  } catch (error) {
    console.error(`backend: ${method} ${path} failed:`, describe(error));
    return { ok: false, problem: UNREACHABLE };
  }
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

/** `fetch` hides the reason in the cause of its error. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

export const register = (credentials: Credentials) =>
  call<Account>("POST", "/auth/register", { body: credentials });

export const logIn = (credentials: Credentials) =>
  call<Token>("POST", "/auth/login", { body: credentials });

export const whoAmI = (token: string) => call<Account>("GET", "/auth/me", { token });

export async function listTodos(token: string): Promise<Answer<Todo[]>> {
  const answer = await call<{ items: Todo[] }>("GET", "/todos", { token });
  return answer.ok ? { ok: true, value: answer.value.items } : answer;
}

export const createTodo = (token: string, title: string) =>
  call<Todo>("POST", "/todos", { token, body: { title } });

export const completeTodo = (token: string, id: string, completed: boolean) =>
  call<Todo>("PATCH", `/todos/${encodeURIComponent(id)}`, { token, body: { completed } });

export const deleteTodo = (token: string, id: string) =>
  call<undefined>("DELETE", `/todos/${encodeURIComponent(id)}`, { token });
