import { expect, test } from "vitest";

import { addressOf, countOf, EVERYTHING, filterOf, isNarrowed } from "@/filter";

test("an address and its filter convert into each other", () => {
  const filter = { search: "tea & milk", status: "open", due: "overdue" } as const;
  const address = addressOf(filter, 40);
  const parameters = Object.fromEntries(new URL(address, "http://here").searchParams);
  expect(filterOf(parameters)).toEqual(filter);
  expect(countOf(parameters)).toBe(40);
});

test("showing everything needs no parameters", () => {
  expect(addressOf(EVERYTHING)).toBe("/");
  expect(filterOf({})).toEqual(EVERYTHING);
  expect(isNarrowed(EVERYTHING)).toBe(false);
  expect(isNarrowed({ ...EVERYTHING, due: "none" })).toBe(true);
});

test.each([
  { status: "secret", due: "never", search: "   " },
  { status: ["x", "open"], due: "" },
  { search: "\0" },
])("invalid parameters of an address are ignored (%j)", (parameters) => {
  expect(filterOf(parameters)).toEqual(EVERYTHING);
});

test("a search is cut to the backend's maximum length", () => {
  expect(filterOf({ search: "x".repeat(300) }).search).toHaveLength(200);
});

test.each([
  ["", 20],
  ["-5", 20],
  ["1e9", 1000],
  ["40.5", 20],
  ["0x30", 48],
  ["60", 60],
])("a count of %j shows %i", (count, expected) => {
  expect(countOf({ count })).toBe(expected);
});
