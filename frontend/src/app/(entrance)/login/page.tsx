import type { Metadata } from "next";
import Link from "next/link";

import { logIn } from "@/actions";
import { Entrance } from "@/app/entrance";
import { pathWithin } from "@/log-in-address";

import { CredentialsForm } from "../credentials-form";

export const metadata: Metadata = { title: "Log in" };

export default async function LogInPage({ searchParams }: PageProps<"/login">) {
  const { expired, next } = await searchParams;
  const path = pathWithin(String(next ?? "/"));
  return (
    <Entrance title="Log in">
      {expired && (
        <p role="status" className="notice">
          Your session has ended. Log in again, and you are back where you were.
        </p>
      )}
      <CredentialsForm action={logIn} button="Log in" password="current-password" next={path} />
      <p className="aside">
        No account yet? <Link href="/register">Register</Link>
      </p>
    </Entrance>
  );
}
