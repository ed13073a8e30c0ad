"""Tests of `minikube`: what its program is called with."""

import subprocess
import unittest
from pathlib import Path

from machine.minikube import script


class ScriptTest(unittest.TestCase):
    """The words that the real program sees."""

    def words(self, *given: str) -> list[str]:
        """What it is called with when a user types these."""
        text = script(Path("/bin/echo"), "kicbase:1")
        return subprocess.run(["sh", "-c", text, "minikube", *given], capture_output=True, text=True).stdout.split()

    def test_a_start_is_given_what_this_machine_has(self) -> None:
        """Also one that names the profile first."""
        for given in (["start", "--output", "json"], ["--profile", "other", "start"]):
            with self.subTest(given=given):
                words = self.words(*given)
                self.assertIn("--base-image=kicbase:1", words)
                self.assertEqual(words[-len(given) :], given)

    def test_what_is_given_wins(self) -> None:
        """Of two values minikube takes the last."""
        drivers = [word for word in self.words("start", "--driver=kvm2") if word.startswith("--driver")]
        self.assertEqual(drivers, ["--driver=docker", "--driver=kvm2"])

    def test_other_commands_are_left_alone(self) -> None:
        """A profile may be called as it likes."""
        for given in (["delete", "--all"], ["status", "--profile", "started"]):
            with self.subTest(given=given):
                self.assertEqual(self.words(*given), given)


if __name__ == "__main__":
    unittest.main()
