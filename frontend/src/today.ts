/** The user's current date, as far as the server knows the time zone. */
import "server-only";

import { cookies } from "next/headers";

import { dayIn } from "@/due-date";
import { TIME_ZONE } from "@/time-zone-cookie";

/** The user's time zone, if the browser has sent it. */
export async function timeZone(): Promise<string | undefined> {
  return (await cookies()).get(TIME_ZONE)?.value;
}

export async function currentDay(): Promise<string> {
  return dayIn(await timeZone());
}
