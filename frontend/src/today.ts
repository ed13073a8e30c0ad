/** The day that it is for the user, as far as this server knows. */
import "server-only";

import { cookies } from "next/headers";

import { dayIn } from "@/due-date";
import { TIME_ZONE } from "@/time-zone-cookie";

/** The user's time zone, once her browser has told it. */
export async function timeZone(): Promise<string | undefined> {
  return (await cookies()).get(TIME_ZONE)?.value;
}

export async function currentDay(): Promise<string> {
  return dayIn(await timeZone());
}
