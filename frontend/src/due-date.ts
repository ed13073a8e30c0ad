/** Dates as YYYY-MM-DD, and their display. */

export type Urgency = "overdue" | "today" | "later";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The current date in a time zone, or in UTC if the zone is unknown. */
export function dayIn(zone: string | undefined, now = new Date()): string {
  // Sweden writes dates as ISO 8601 does.
  const day = (timeZone: string) => new Intl.DateTimeFormat("sv-SE", { timeZone }).format(now);
  try {
    return day(zone ?? "UTC");
  } catch {
    return day("UTC");
  }
}

export function urgencyOf(due: string, today: string): Urgency {
  if (due === today) return "today";
  return due < today ? "overdue" : "later";
}

/** Near days by name, others by date, with the year only if it differs. */
export function describeDay(day: string, today: string): string {
  const distance = Math.round((Date.parse(day) - Date.parse(today)) / DAY_MS);
  if (distance === 0) return "Today";
  if (distance === 1) return "Tomorrow";
  if (distance === -1) return "Yesterday";
  if (distance > 1 && distance < 7) return format(day, { weekday: "long" });
  const year = day.slice(0, 4) === today.slice(0, 4) ? {} : { year: "numeric" as const };
  return format(day, { day: "numeric", month: "short", ...year });
}

/** A date in full, for the head of the list. */
export function formatToday(today: string): string {
  return format(today, { weekday: "long", day: "numeric", month: "long" });
}

function format(day: string, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }).format(new Date(day));
}
