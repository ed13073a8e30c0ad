"""Tests of `minikube`: the arguments of its program."""

import subprocess
import unittest
from pathlib import Path

from machine.minikube import script


class ScriptTest(unittest.TestCase):
    """Arguments of the real program."""

    def words(self, *given: str) -> list[str]:
        """Returns the arguments of the real program for those of a user."""
        text = script(Path("/bin/echo"), "kicbase:1")
        return subprocess.run(["sh", "-c", text, "minikube", *given], capture_output=True, text=True).stdout.split()

    def test_start_has_the_options_of_this_machine(self) -> None:
        """Even if the profile comes first."""
        for given in (["start", "--output", "json"], ["--profile", "other", "start"]):
            with self.subTest(given=given):
                words = self.words(*given)
                self.assertIn("--base-image=kicbase:1", words)
                self.assertEqual(words[-len(given) :], given)

    def test_explicit_options_take_precedence(self) -> None:
        """minikube uses the last value of an option."""
        drivers = [word for word in self.words("start", "--driver=kvm2") if word.startswith("--driver")]
        self.assertEqual(drivers, ["--driver=docker", "--driver=kvm2"])

    def test_other_commands_are_unchanged(self) -> None:
        """Even if the name of a profile contains `start`."""
        for given in (["delete", "--all"], ["status", "--profile", "started"]):
            with self.subTest(given=given):
                self.assertEqual(self.words(*given), given)


if __name__ == "__main__":
    unittest.main()
