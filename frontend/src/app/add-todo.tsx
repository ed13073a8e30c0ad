"use client";

import { useActionState } from "react";

import { addTodo } from "@/actions";

export function AddTodo() {
  const [state, action, pending] = useActionState(addTodo, {});
  return (
    <form action={action} className="add">
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
        defaultValue={state.typed}
      />
      <button disabled={pending}>{pending ? "Adding" : "Add"}</button>
      {state.error && (
        <p role="alert" className="error">
          {state.error}
        </p>
      )}
    </form>
  );
}
