"use client";

import { useActionState } from "react";

import { addTodo } from "@/actions";

export function AddTodo() {
  const [state, action, pending] = useActionState(addTodo, {});
  return (
    <form
      action={action}
      className="add"
      onSubmit={(event) => {
        // Enter twice is not two todos.
        if (pending) event.preventDefault();
      }}
    >
      <label htmlFor="title" className="hidden">
        What is to be done?
      </label>
      <input
        id="title"
        name="title"
        placeholder="What is to be done?"
        required
        maxLength={200}
        autoComplete="off"
        defaultValue={state.typed?.["title"]}
      />
      <div className="field inline">
        <label htmlFor="due_date">Due</label>
        <input
          id="due_date"
          name="due_date"
          type="date"
          max="9999-12-31"
          defaultValue={state.typed?.["due_date"]}
        />
      </div>
      <button className="primary" aria-disabled={pending}>
        {pending ? "Adding" : "Add"}
      </button>
      {state.error && (
        <p role="alert" className="error">
          {state.error}
        </p>
      )}
      <p role="status" className="hidden">
        {state.done}
      </p>
    </form>
  );
}
