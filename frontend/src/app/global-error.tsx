"use client";

import "./globals.css";

/** Shown if even the layout fails. It works without scripts. */
export default function GlobalError() {
  return (
    <html lang="en">
      <body>
        <main className="entrance">
          <title>Todo</title>
          <h1>Something went wrong</h1>
          <p className="aside">
            <a href="">Try again</a>
          </p>
        </main>
      </body>
    </html>
  );
}
