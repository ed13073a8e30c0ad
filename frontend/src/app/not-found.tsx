import type { Metadata } from "next";
import Link from "next/link";

import { Entrance } from "@/app/entrance";

export const metadata: Metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <Entrance title="There is no such page">
      <p className="aside">
        <Link href="/">To your todos</Link>
      </p>
    </Entrance>
  );
}
