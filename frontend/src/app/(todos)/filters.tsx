"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useEffect, useRef, useTransition } from "react";

import { SearchIcon } from "@/app/icons";
import { addressOf, DUES, type Filter, STATUSES } from "@/filter";

/** After so long without a key the search is begun. */
const PAUSE_MS = 250;

const STATUS_NAMES = { all: "All", open: "Open", done: "Done" };
const DUE_NAMES = { any: "Any date", overdue: "Overdue", today: "Due today", none: "No date" };

/** Links and a form: what is shown is in the page's address. */
export function Filters({ filter }: { filter: Filter }) {
  return (
    <div className="filters">
      <Search filter={filter} />
      <nav aria-label="Show by state" className="choice">
        {STATUSES.map((status) => (
          <Choice key={status} address={addressOf({ ...filter, status })} on={status === filter.status}>
            {STATUS_NAMES[status]}
          </Choice>
        ))}
      </nav>
      <nav aria-label="Show by due date" className="choice">
        {DUES.map((due) => (
          <Choice key={due} address={addressOf({ ...filter, due })} on={due === filter.due}>
            {DUE_NAMES[due]}
          </Choice>
        ))}
      </nav>
    </div>
  );
}

function Choice({ address, on, children }: { address: string; on: boolean; children: string }) {
  return (
    <Link href={address} scroll={false} prefetch={false} aria-current={on ? "true" : undefined}>
      {children}
    </Link>
  );
}

function Search({ filter }: { filter: Filter }) {
  const router = useRouter();
  const [searching, startSearch] = useTransition();
  const field = useRef<HTMLInputElement>(null);
  const pause = useRef<ReturnType<typeof setTimeout>>(undefined);

  const search = () => {
    clearTimeout(pause.current);
    const address = addressOf({ ...filter, search: field.current?.value.trim() ?? "" });
    startSearch(() => router.replace(address, { scroll: false }));
  };

  useEffect(() => {
    const input = field.current;
    // The search was taken back by a link, and not by typing.
    if (input && document.activeElement !== input) input.value = filter.search;
    return () => clearTimeout(pause.current);
  }, [filter.search]);

  return (
    <form
      role="search"
      action="/"
      className="search"
      aria-busy={searching || undefined}
      onSubmit={(event) => {
        event.preventDefault();
        search();
      }}
    >
      <SearchIcon />
      <label htmlFor="search" className="hidden">
        Search your todos
      </label>
      {filter.status !== "all" && <input type="hidden" name="status" value={filter.status} />}
      {filter.due !== "any" && <input type="hidden" name="due" value={filter.due} />}
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
          pause.current = setTimeout(search, PAUSE_MS);
        }}
      />
    </form>
  );
}
