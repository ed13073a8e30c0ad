"use client";

import Link from "next/link";
import { useEffect, useRef } from "react";

/** Leads to a longer list, and once that is there to the first todo that is new in it. */
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
