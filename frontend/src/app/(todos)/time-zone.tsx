"use client";

import { useRouter } from "next/navigation";
import { useEffect } from "react";

import { TIME_ZONE } from "@/time-zone-cookie";

const YEAR_SECONDS = 365 * 24 * 60 * 60;

/** Sends the browser's time zone to the server if it differs, and reloads the page with it. */
export function TimeZone({ known }: { known: string | undefined }) {
  const router = useRouter();
  useEffect(() => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone === (known ?? "UTC")) return;
    const value = encodeURIComponent(zone);
    document.cookie = `${TIME_ZONE}=${value}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    router.refresh();
  }, [known, router]);
  return null;
}
