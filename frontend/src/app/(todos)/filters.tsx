"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useEffect, useOptimistic, useRef, useTransition } from "react";

import { SearchIcon } from "@/app/icons";
import { addressOf, DUES, type Filter, STATUSES } from "@/filter";

/** The search begins after this time without a key press. */
const PAUSE_MS = 250;

const STATUS_NAMES = { all: "All", open: "Open", done: "Done" };
const DUE_NAMES = { any: "Any date", overdue: "Overdue", today: "Today", none: "No date" };

/** Links and a form: the page's address has the filter. */
export function Filters({ filter }: { filter: Filter }) {
  const router = useRouter();
  const [moving, startMoving] = useTransition();
  // A choice is shown at once, and the next choice builds on it instead of the page's old state.
  const [wanted, setWanted] = useOptimistic(filter);
  const field = useRef<HTMLInputElement>(null);
  const pause = useRef<ReturnType<typeof setTimeout>>(undefined);

  function move(change: Partial<Filter>, how: "push" | "replace") {
    clearTimeout(pause.current);
    const next = { ...wanted, search: field.current?.value.trim() ?? "", ...change };
    startMoving(() => {
      setWanted(next);
      router[how](addressOf(next), { scroll: false });
    });
  }

  useEffect(() => {
    const input = field.current;
    // The search was reset by a link, and not by typing.
    if (input && document.activeElement !== input) input.value = filter.search;
    return () => clearTimeout(pause.current);
  }, [filter.search]);

  return (
    <div className="filters" aria-busy={moving || undefined}>
      <form
        role="search"
        action="/"
        className="search"
        onSubmit={(event) => {
          event.preventDefault();
          move({}, "replace");
        }}
      >
        <SearchIcon />
        <label htmlFor="search" className="hidden">
          Search your todos
        </label>
        <input
          ref={field}
          id="search"
          name="search"
          type="search"
          placeholder="Search"
          maxLength={200}
          autoComplete="off"
          defaultValue={filter.search}
          onChange={() => {
            clearTimeout(pause.current);
            pause.current = setTimeout(() => move({}, "replace"), PAUSE_MS);
          }}
        />
      </form>
      <nav aria-label="Show by state" className="choice">
        {STATUSES.map((status) => (
          <Choice
            key={status}
            address={addressOf({ ...wanted, status })}
            on={status === wanted.status}
            choose={() => move({ status }, "push")}
          >
            {STATUS_NAMES[status]}
          </Choice>
        ))}
      </nav>
      <nav aria-label="Show by due date" className="choice">
        {DUES.map((due) => (
          <Choice
            key={due}
            address={addressOf({ ...wanted, due })}
            on={due === wanted.due}
            choose={() => move({ due }, "push")}
          >
            {DUE_NAMES[due]}
          </Choice>
        ))}
      </nav>
    </div>
  );
}

function Choice(props: { address: string; on: boolean; choose: () => void; children: string }) {
  return (
    <Link
      href={props.address}
      prefetch={false}
      aria-current={props.on ? "true" : undefined}
      onNavigate={(event) => {
        event.preventDefault();
        props.choose();
      }}
    >
      {props.children}
    </Link>
  );
}
