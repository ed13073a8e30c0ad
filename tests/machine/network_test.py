"""Tests of `network`: the packet filter rules that are removed."""

import unittest

from machine.network import without_ours

OWN = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:CNIX - [0:0]
-A INPUT -s 10.2.44.1/32 -j DROP
-A INPUT -i br-office -j ACCEPT
-A FORWARD -m comment --comment "not for KUBE-pods" -j CNIX
COMMIT
"""

OTHERS = """\
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
:CNI-5d297d586a0ff892b4e2f056 - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -d 10.244.0.0/16 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A FORWARD -o br-0f033de01b7f -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A POSTROUTING -s 172.30.0.0/24 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.244.0.2/32 -m comment --comment "name" -j CNI-5d297d586a0ff892b4e2f056
-A KUBE-FORWARD -j ACCEPT
"""


class WithoutOursTest(unittest.TestCase):
    """The kept rules of iptables-save's output."""

    def test_rules_of_the_machine_are_kept(self) -> None:
        """Byte for byte, including the policy of FORWARD."""
        self.assertEqual(without_ours(OWN), OWN)

    def test_each_rule_of_engine_and_cluster_is_removed(self) -> None:
        """Each rule alone, so that none depends on another one's mark."""
        for line in OTHERS.splitlines(keepends=True):
            with self.subTest(line):
                self.assertEqual(without_ours(OWN + line), OWN)


if __name__ == "__main__":
    unittest.main()
