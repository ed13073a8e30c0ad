"use client";

import { Entrance } from "@/app/entrance";

export default function ErrorPage({ retry }: { error: unknown; retry: () => void }) {
  return (
    <Entrance title="Something went wrong">
      <p className="aside">The page could not be shown. Nothing of yours is lost.</p>
      <button className="primary" onClick={retry}>
        Try again
      </button>
    </Entrance>
  );
}
