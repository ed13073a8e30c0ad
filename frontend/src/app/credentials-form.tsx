"use client";

import { useActionState } from "react";

import type { FormState } from "@/actions";

export function CredentialsForm(props: {
  action: (state: FormState, form: FormData) => Promise<FormState>;
  button: string;
  password: "current-password" | "new-password";
}) {
  const [state, action, pending] = useActionState(props.action, {});
  return (
    <form action={action} className="credentials">
      {state.error && (
        <p role="alert" className="error">
          {state.error}
        </p>
      )}
      <label htmlFor="email">E-mail address</label>
      <input
        id="email"
        name="email"
        type="email"
        required
        maxLength={254}
        autoComplete="email"
        defaultValue={state.typed}
      />
      <label htmlFor="password">Password</label>
      <input
        id="password"
        name="password"
        type="password"
        required
        minLength={8}
        maxLength={200}
        autoComplete={props.password}
        aria-describedby={props.password === "new-password" ? "password-rule" : undefined}
      />
      {props.password === "new-password" && (
        <p id="password-rule" className="hint">
          At least 8 characters.
        </p>
      )}
      <button disabled={pending}>{props.button}</button>
    </form>
  );
}
