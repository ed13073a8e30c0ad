"use client";

import { useActionState, useRef, useState } from "react";

import { completeTodo, deleteTodo } from "@/actions";
import { DueDate } from "@/app/due-date";
import { useFocusOnward } from "@/app/focus-onward";
import { CheckIcon, DeleteIcon, EditIcon } from "@/app/icons";
import { TodoEditor } from "@/app/todo-editor";
import type { Todo } from "@/backend";
import type { Urgency } from "@/due-date";

export interface Due {
  told: string;
  urgency: Urgency;
}

export function TodoItem({ todo, due }: { todo: Todo; due: Due | undefined }) {
  const [completed, complete, completing] = useActionState(completeTodo, {});
  const [deleted, remove, deleting] = useActionState(deleteTodo, {});
  const [editing, setEditing] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  const edit = useRef<HTMLButtonElement>(null);
  useFocusOnward(row, "title");

  // What was asked for is shown at once; if it fails, the error says why it is not so.
  const done = completing ? !todo.completed : todo.completed;
  const error = completed.error ?? deleted.error;
  return (
    <li
      ref={row}
      className={done ? "todo done" : "todo"}
      aria-busy={completing || deleting || undefined}
    >
      {editing ? (
        <TodoEditor
          todo={todo}
          close={() => {
            setEditing(false);
            // The button is back only after this.
            requestAnimationFrame(() => edit.current?.focus());
          }}
        />
      ) : (
        <>
          <form action={complete}>
            <input type="hidden" name="id" value={todo.id} />
            <input type="hidden" name="completed" value={String(!todo.completed)} />
            <button
              role="checkbox"
              aria-checked={done}
              aria-label={`Done: ${todo.title}`}
              className="check"
            >
              <CheckIcon />
            </button>
          </form>
          <div className="what">
            <span className="title">{todo.title}</span>
            {due && todo.due_date && (
              <DueDate day={todo.due_date} told={due.told} urgency={done ? "later" : due.urgency} />
            )}
          </div>
          <div className="controls">
            <button
              type="button"
              ref={edit}
              className="icon-button"
              aria-label={`Edit: ${todo.title}`}
              onClick={() => setEditing(true)}
            >
              <EditIcon />
            </button>
            <form action={remove}>
              <input type="hidden" name="id" value={todo.id} />
              <button className="icon-button" aria-label={`Delete: ${todo.title}`}>
                <DeleteIcon />
              </button>
            </form>
          </div>
          {error && (
            <p role="alert" className="error">
              {error}
            </p>
          )}
        </>
      )}
    </li>
  );
}
