import { CalendarIcon } from "@/app/icons";
import type { Urgency } from "@/due-date";

/** A due date as it stands below a title. That it is overdue is said, and not only coloured. */
export function DueDate({ day, told, urgency }: { day: string; told: string; urgency: Urgency }) {
  return (
    <span className={`due ${urgency}`}>
      <CalendarIcon />
      <span>
        {urgency === "overdue" ? "Overdue: " : <span className="hidden">Due: </span>}
        <time dateTime={day}>{told}</time>
      </span>
    </span>
  );
}
