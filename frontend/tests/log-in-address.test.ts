import { expect, test } from "vitest";

import { logInAddress, pathWithin } from "@/log-in-address";

test.each([
  ["/?status=open", "/?status=open"],
  ["/elsewhere?a=b#c", "/elsewhere?a=b"],
  [undefined, "/"],
  ["", "/"],
  ["https://elsewhere.example/", "/"],
  ["//elsewhere.example/", "/"],
  ["/\\elsewhere.example/", "/"],
  ["/\t/elsewhere.example/", "/"],
  ["javascript:alert(1)", "/"],
  ["elsewhere", "/"],
])("%j leads to %s", (path, expected) => {
  expect(pathWithin(path)).toBe(expected);
});

test("the address of the log-in page has only the needed parameters", () => {
  expect(logInAddress("/", false)).toBe("/login");
  expect(logInAddress("/", true)).toBe("/login?expired=1");
  expect(logInAddress("/?due=today", false)).toBe("/login?next=%2F%3Fdue%3Dtoday");
});
