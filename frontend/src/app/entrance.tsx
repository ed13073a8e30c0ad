import type { ReactNode } from "react";

import { CheckIcon } from "@/app/icons";

/** The frame of the pages outside of a session. */
export function Entrance({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="entrance">
      <p className="brand">
        <CheckIcon /> Todo
      </p>
      <h1>{title}</h1>
      {children}
    </main>
  );
}
