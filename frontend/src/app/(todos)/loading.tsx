import { CheckIcon } from "@/app/icons";

import "./todos.css";

/** The shape of the page while it loads. */
export default function Loading() {
  return (
    <>
      <header className="masthead">
        <span className="brand">
          <CheckIcon /> Todo
        </span>
      </header>
      <main className="page" aria-busy="true">
        <div className="heading">
          <h1>Your todos</h1>
        </div>
        <p role="status" className="hidden">
          Loading
        </p>
        <div className="placeholder tall" />
        <div className="placeholder" />
        <div className="placeholder" />
        <div className="placeholder" />
      </main>
    </>
  );
}
