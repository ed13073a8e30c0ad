"use server";
/** The forms' actions. Each runs on this server and then renders the page again. */

import { revalidatePath } from "next/cache";
import { redirect } from "next/navigation";

import * as backend from "@/backend";
import { pathWithin } from "@/log-in-address";
import { sentence } from "@/sentence";
import { closeSession, currentToken, leaveIfExpired, openSession } from "@/session";
import type { Suggestion } from "@/suggestions";

/** The state of a form after submission: a message, or an error and the typed text. */
export interface FormState {
  done?: string;
  error?: string;
  typed?: Record<string, string>;
}

function text(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}

function credentialsOf(form: FormData): backend.Credentials {
  return { email: text(form, "email"), password: text(form, "password") };
}

async function enter(credentials: backend.Credentials, form: FormData): Promise<FormState> {
  const answer = await backend.logIn(credentials);
  if (!answer.ok) return refusal(answer.problem, { email: credentials.email });
  await openSession(answer.value);
  redirect(pathWithin(text(form, "next")));
}

export async function logIn(_: FormState, form: FormData): Promise<FormState> {
  return enter(credentialsOf(form), form);
}

export async function register(_: FormState, form: FormData): Promise<FormState> {
  const credentials = credentialsOf(form);
  const answer = await backend.register(credentials);
  if (!answer.ok) return refusal(answer.problem, { email: credentials.email });
  return enter(credentials, form);
}

export async function logOut(): Promise<void> {
  const refreshToken = await closeSession();
  // The session ends here even if the backend does not answer.
  if (refreshToken) await backend.logOut(refreshToken);
  redirect("/login");
}

export async function addTodo(_: FormState, form: FormData): Promise<FormState> {
  const title = text(form, "title");
  const due_date = text(form, "due_date") || null;
  const answer = await act((token) => backend.createTodo(token, { title, due_date }));
  if (answer.ok) return { done: `Added: ${answer.value.title}` };
  return refusal(answer.problem, { title, due_date: due_date ?? "" });
}

export async function completeTodo(_: FormState, form: FormData): Promise<FormState> {
  const completed = text(form, "completed") === "true";
  return settle(await act((token) => backend.changeTodo(token, text(form, "id"), { completed })));
}

export async function editTodo(_: FormState, form: FormData): Promise<FormState> {
  const title = text(form, "title");
  const due_date = text(form, "due_date") || null;
  const answer = await act((token) =>
    backend.changeTodo(token, text(form, "id"), { title, due_date }),
  );
  return answer.ok
    ? { done: "Saved" }
    : refusal(answer.problem, { title, due_date: due_date ?? "" });
}

export async function deleteTodo(_: FormState, form: FormData): Promise<FormState> {
  const answer = await act((token) => backend.deleteTodo(token, text(form, "id")));
  // Already deleted in another window, which is fine.
  return !answer.ok && answer.problem.status === 404 ? {} : settle(answer);
}

/** Creates a todo of each suggestion until one fails; returns their number. */
export async function acceptSuggestions(
  suggestions: Suggestion[],
): Promise<{ accepted: number; error?: string }> {
  let accepted = 0;
  for (const { title, due_date } of suggestions) {
    const answer = await act((token) => backend.createTodo(token, { title, due_date }));
    if (!answer.ok) return { accepted, error: sentence(answer.problem.detail) };
    accepted += 1;
  }
  return { accepted };
}

/** Requests a change from the backend with the session of the user. */
async function act<T>(
  ask: (token: string) => Promise<backend.Answer<T>>,
): Promise<backend.Answer<T>> {
  const token = await currentToken();
  const answer = token.ok ? await ask(token.value) : token;
  if (!answer.ok) await leaveIfExpired(answer.problem);
  // Also after a failure: the todo may have been changed or deleted in another window.
  revalidatePath("/");
  return answer;
}

function settle(answer: backend.Answer<unknown>): FormState {
  return answer.ok ? {} : refusal(answer.problem);
}

function refusal(problem: backend.Problem, typed?: Record<string, string>): FormState {
  return { error: sentence(problem.detail), ...(typed && { typed }) };
}
