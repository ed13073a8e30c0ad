"use client";

import { useActionState, useCallback, useEffect, useRef, useState } from "react";

import { completeTodo, deleteTodo } from "@/actions";
import { CheckIcon, DeleteIcon, EditIcon } from "@/app/icons";
import type { Todo } from "@/backend";
import type { Urgency } from "@/due-date";

import { DueDate } from "./due-date";
import { useFocusOnward } from "./focus-onward";
import { TodoEditor } from "./todo-editor";

export interface Due {
  label: string;
  urgency: Urgency;
}

export function TodoItem({ todo, due }: { todo: Todo; due: Due | undefined }) {
  const [completed, complete, completing] = useActionState(completeTodo, {});
  const [deleted, remove, deleting] = useActionState(deleteTodo, {});
  const [editing, setEditing] = useState<"now" | "before">();
  const close = useCallback(() => setEditing("before"), []);
  const row = useRef<HTMLLIElement>(null);
  const edit = useRef<HTMLButtonElement>(null);
  useFocusOnward(row, "title");
  useEffect(() => {
    if (editing === "before") edit.current?.focus();
  }, [editing]);

  // The change is shown at once; if it fails, it is reverted and the error is shown.
  const done = completing ? !todo.completed : todo.completed;
  const error = completed.error ?? deleted.error;
  return (
    <li
      ref={row}
      className={done ? "todo done" : "todo"}
      aria-busy={completing || deleting || undefined}
    >
      {editing === "now" ? (
        <TodoEditor todo={todo} close={close} />
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
              <DueDate day={todo.due_date} label={due.label} urgency={done ? "later" : due.urgency} />
            )}
          </div>
          <div className="controls">
            <button
              type="button"
              ref={edit}
              className="icon-button"
              aria-label={`Edit: ${todo.title}`}
              onClick={() => setEditing("now")}
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
