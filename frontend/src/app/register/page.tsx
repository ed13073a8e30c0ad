import Link from "next/link";

import { register } from "@/actions";
import { CredentialsForm } from "@/app/credentials-form";

export default function RegisterPage() {
  return (
    <main className="card">
      <h1>Register</h1>
      <CredentialsForm action={register} button="Register" password="new-password" />
      <p className="hint">
        Already registered? <Link href="/login">Log in</Link>
      </p>
    </main>
  );
}
