import Link from "next/link";

import { logIn } from "@/actions";
import { CredentialsForm } from "@/app/credentials-form";

export default async function LogInPage({ searchParams }: PageProps<"/login">) {
  const { expired } = await searchParams;
  return (
    <main className="card">
      <h1>Log in</h1>
      {expired && <p className="notice">Your session has ended. Please log in again.</p>}
      <CredentialsForm action={logIn} button="Log in" password="current-password" />
      <p className="hint">
        No account yet? <Link href="/register">Register</Link>
      </p>
    </main>
  );
}
