import { CalendarIcon } from "@/app/icons";
import type { Urgency } from "@/due-date";

/** The due date below a title. An overdue one has a word and not only a colour. */
export function DueDate({ day, label, urgency }: { day: string; label: string; urgency: Urgency }) {
  return (
    <span className={`due ${urgency}`}>
      <CalendarIcon />
      <span>
        {urgency === "overdue" ? "Overdue: " : <span className="hidden">Due: </span>}
        <time dateTime={day}>{label}</time>
      </span>
    </span>
  );
}
