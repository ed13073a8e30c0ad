"use server";
/** What the forms do. Each runs on this server and then has the page rendered anew. */

import { revalidatePath } from "next/cache";
import { redirect } from "next/navigation";

import * as backend from "@/backend";
import { closeSession, leaveIfExpired, openSession, requireToken } from "@/session";

/** What a form shows after it was sent: nothing, or what was wrong and what had been typed. */
export interface FormState {
  error?: string;
  typed?: string;
}

function text(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}

function credentialsOf(form: FormData): backend.Credentials {
  return { email: text(form, "email"), password: text(form, "password") };
}

function sentence(detail: string): string {
  const begun = detail.charAt(0).toUpperCase() + detail.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

async function enter(credentials: backend.Credentials): Promise<FormState> {
  const answer = await backend.logIn(credentials);
  if (!answer.ok) return { error: sentence(answer.problem.detail), typed: credentials.email };
  await openSession(answer.value);
  redirect("/");
}

export async function logIn(_: FormState, form: FormData): Promise<FormState> {
  return enter(credentialsOf(form));
}

export async function register(_: FormState, form: FormData): Promise<FormState> {
  const credentials = credentialsOf(form);
  const answer = await backend.register(credentials);
  if (!answer.ok) return { error: sentence(answer.problem.detail), typed: credentials.email };
  return enter(credentials);
}

export async function logOut(): Promise<void> {
  await closeSession();
  redirect("/login");
}

export async function addTodo(_: FormState, form: FormData): Promise<FormState> {
  const title = text(form, "title");
  return finish(await backend.createTodo(await requireToken(), title), title);
}

export async function completeTodo(_: FormState, form: FormData): Promise<FormState> {
  const completed = text(form, "completed") === "true";
  return finish(await backend.completeTodo(await requireToken(), text(form, "id"), completed));
}

export async function deleteTodo(_: FormState, form: FormData): Promise<FormState> {
  return finish(await backend.deleteTodo(await requireToken(), text(form, "id")));
}

function finish(answer: backend.Answer<unknown>, typed?: string): FormState {
  if (!answer.ok) leaveIfExpired(answer.problem);
  // Also after a failure: the todo may have been changed or deleted in another window.
  revalidatePath("/");
  if (answer.ok) return {};
  return { error: sentence(answer.problem.detail), ...(typed === undefined ? {} : { typed }) };
}
