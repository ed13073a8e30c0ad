/** The filter of the list. It is in the page's address, so that it can be bookmarked and shared. */

export const STATUSES = ["all", "open", "done"] as const;
export const DUES = ["any", "overdue", "today", "none"] as const;

export interface Filter {
  search: string;
  status: (typeof STATUSES)[number];
  due: (typeof DUES)[number];
}

export const EVERYTHING: Filter = { search: "", status: "all", due: "any" };

/** How many todos are shown at first, and how many more each time. */
export const STEP = 20;

/** Maximum length of the list; for more todos the search is better. */
const MOST = 1000;

const LONGEST_SEARCH = 200;

type Parameters = Record<string, string | string[] | undefined>;

function parameter(parameters: Parameters, name: string): string {
  const value = parameters[name];
  return (Array.isArray(value) ? value[0] : value) ?? "";
}

/** Parses an address, which users can edit: invalid values are ignored. */
export function filterOf(parameters: Parameters): Filter {
  const status = parameter(parameters, "status");
  const due = parameter(parameters, "due");
  return {
    search: parameter(parameters, "search").replaceAll("\0", "").trim().slice(0, LONGEST_SEARCH),
    status: STATUSES.find((known) => known === status) ?? EVERYTHING.status,
    due: DUES.find((known) => known === due) ?? EVERYTHING.due,
  };
}

export function countOf(parameters: Parameters): number {
  const count = Number(parameter(parameters, "count"));
  return Number.isInteger(count) && count > STEP ? Math.min(count, MOST) : STEP;
}

/** Only the parameters that differ from the default. */
export function queryOf(filter: Filter): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.search) query.set("search", filter.search);
  if (filter.status !== EVERYTHING.status) query.set("status", filter.status);
  if (filter.due !== EVERYTHING.due) query.set("due", filter.due);
  return query;
}

/** The address of the page that shows these todos. */
export function addressOf(filter: Filter, count = STEP): string {
  const query = queryOf(filter);
  if (count > STEP) query.set("count", String(count));
  return query.size > 0 ? `/?${query}` : "/";
}

export function isNarrowed(filter: Filter): boolean {
  return queryOf(filter).size > 0;
}
