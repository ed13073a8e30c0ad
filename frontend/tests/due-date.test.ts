import { expect, test } from "vitest";

import { dayIn, describeDay, formatToday, urgencyOf } from "@/due-date";

const TODAY = "2026-11-21";

test.each([
  ["2026-11-21", "Today", "today"],
  ["2026-11-20", "Yesterday", "overdue"],
  ["2026-11-22", "Tomorrow", "later"],
  ["2026-11-23", "Monday", "later"],
  ["2026-11-27", "Friday", "later"],
  ["2026-11-28", "28 Nov", "later"],
  ["2026-03-01", "1 Mar", "overdue"],
  ["2027-01-01", "1 Jan 2027", "later"],
  ["2025-12-31", "31 Dec 2025", "overdue"],
])("%s is shown as %s and is %s", (day, label, urgency) => {
  expect(describeDay(day, TODAY)).toBe(label);
  expect(urgencyOf(day, TODAY)).toBe(urgency);
});

test("a clock change does not change the number of days", () => {
  expect(describeDay("2026-03-30", "2026-03-29")).toBe("Tomorrow");
});

test.each([
  [undefined, "2026-11-21"],
  ["Pacific/Auckland", "2026-11-22"],
  ["America/Los_Angeles", "2026-11-21"],
  ["Not/AZone", "2026-11-21"],
  ["<script>", "2026-11-21"],
])("in the zone %s it is %s", (zone, day) => {
  expect(dayIn(zone, new Date("2026-11-21T20:00:00Z"))).toBe(day);
});

test("today is shown in full", () => {
  expect(formatToday(TODAY)).toBe("Saturday 21 November");
});
