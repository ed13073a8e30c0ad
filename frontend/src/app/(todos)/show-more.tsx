"use client";

import Link from "next/link";
import { useEffect, useRef } from "react";

/** Loads a longer list, and then focuses the first new todo. */
export function ShowMore({ shown, address }: { shown: number; address: string | undefined }) {
  const before = useRef<number>(undefined);
  useEffect(() => {
    if (before.current === undefined || before.current >= shown) return;
    const todos = document.querySelectorAll(".todos > li");
    todos[before.current]?.querySelector("button")?.focus();
    before.current = undefined;
  }, [shown]);

  if (!address) return null;
  return (
    <Link
      href={address}
      scroll={false}
      prefetch={false}
      className="more"
      onClick={() => {
        before.current = shown;
      }}
    >
      Show more
    </Link>
  );
}
