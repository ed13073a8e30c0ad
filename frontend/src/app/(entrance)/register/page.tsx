import type { Metadata } from "next";
import Link from "next/link";

import { register } from "@/actions";
import { Entrance } from "@/app/entrance";

import { CredentialsForm } from "../credentials-form";

export const metadata: Metadata = { title: "Register" };

export default function RegisterPage() {
  return (
    <Entrance title="Register">
      <CredentialsForm action={register} button="Register" password="new-password" next="/" />
      <p className="aside">
        Already registered? <Link href="/login">Log in</Link>
      </p>
    </Entrance>
  );
}
