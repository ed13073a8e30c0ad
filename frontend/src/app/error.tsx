"use client";

export default function ErrorPage({ reset }: { error: Error; reset: () => void }) {
  return (
    <main className="card">
      <h1>Something went wrong</h1>
      <p>The page could not be shown. Nothing of yours is lost.</p>
      <button onClick={reset}>Try again</button>
    </main>
  );
}
