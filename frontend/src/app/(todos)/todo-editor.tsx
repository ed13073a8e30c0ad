"use client";

import { useActionState, useEffect, useRef } from "react";

import { editTodo } from "@/actions";
import type { Todo } from "@/backend";

/** A todo's row while it is edited. Escape discards the changes. */
export function TodoEditor({ todo, close }: { todo: Todo; close: () => void }) {
  const [state, save, saving] = useActionState(editTodo, {});
  const title = useRef<HTMLInputElement>(null);
  useEffect(() => title.current?.select(), []);
  useEffect(() => {
    if (state.done) close();
  }, [state, close]);

  return (
    <form
      action={save}
      className="editor"
      aria-label={`Edit: ${todo.title}`}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
      onSubmit={(event) => {
        if (saving) event.preventDefault();
      }}
    >
      <input type="hidden" name="id" value={todo.id} />
      <label htmlFor={`title-${todo.id}`} className="hidden">
        Title
      </label>
      <input
        ref={title}
        id={`title-${todo.id}`}
        name="title"
        required
        maxLength={200}
        autoComplete="off"
        defaultValue={state.typed?.["title"] ?? todo.title}
      />
      <div className="field inline">
        <label htmlFor={`due-${todo.id}`}>Due</label>
        <input
          id={`due-${todo.id}`}
          name="due_date"
          type="date"
          max="9999-12-31"
          defaultValue={state.typed?.["due_date"] ?? todo.due_date ?? ""}
        />
      </div>
      <div className="buttons">
        <button type="button" className="quiet" onClick={close}>
          Cancel
        </button>
        <button className="primary" aria-disabled={saving}>
          {saving ? "Saving" : "Save"}
        </button>
      </div>
      {state.error && (
        <p role="alert" className="error">
          {state.error}
        </p>
      )}
    </form>
  );
}
