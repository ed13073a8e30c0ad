"use client";

import { useActionState } from "react";

import type { FormState } from "@/actions";

export function CredentialsForm(props: {
  action: (state: FormState, form: FormData) => Promise<FormState>;
  button: string;
  password: "current-password" | "new-password";
  /** The path to continue at after the log-in. */
  next: string;
}) {
  const [state, action, pending] = useActionState(props.action, {});
  const isNew = props.password === "new-password";
  return (
    <form action={action} className="credentials">
      {state.error && (
        <p role="alert" className="error">
          {state.error}
        </p>
      )}
      <input type="hidden" name="next" value={props.next} />
      <div className="field">
        <label htmlFor="email">E-mail address</label>
        <input
          id="email"
          name="email"
          type="email"
          required
          maxLength={254}
          autoComplete="username"
          defaultValue={state.typed?.["email"]}
        />
      </div>
      <div className="field">
        <label htmlFor="password">Password</label>
        <input
          id="password"
          name="password"
          type="password"
          required
          minLength={8}
          maxLength={200}
          autoComplete={props.password}
          aria-describedby={isNew ? "password-rule" : undefined}
        />
        {isNew && (
          <p id="password-rule" className="hint">
            At least 8 characters.
          </p>
        )}
      </div>
      <button className="primary" aria-disabled={pending}>
        {pending ? "One moment" : props.button}
      </button>
    </form>
  );
}
