"use client";

import { useActionState } from "react";

import { completeTodo, deleteTodo } from "@/actions";
import type { Todo } from "@/backend";

export function TodoItem({ todo }: { todo: Todo }) {
  const [completed, complete, completing] = useActionState(completeTodo, {});
  const [deleted, remove, deleting] = useActionState(deleteTodo, {});
  const error = completed.error ?? deleted.error;
  return (
    <li className={todo.completed ? "todo done" : "todo"} aria-busy={completing || deleting}>
      <form action={complete} className="complete">
        <input type="hidden" name="id" value={todo.id} />
        <input type="hidden" name="completed" value={String(!todo.completed)} />
        <button
          role="checkbox"
          aria-checked={todo.completed}
          aria-label={`Done: ${todo.title}`}
          className="check"
          disabled={completing}
        />
      </form>
      <span className="title">{todo.title}</span>
      <form action={remove}>
        <input type="hidden" name="id" value={todo.id} />
        <button className="quiet" aria-label={`Delete: ${todo.title}`} disabled={deleting}>
          Delete
        </button>
      </form>
      {error && (
        <p role="alert" className="error">
          {error}
        </p>
      )}
    </li>
  );
}
