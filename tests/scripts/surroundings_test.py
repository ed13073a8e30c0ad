"""Missing capabilities and taken ports of a bare machine."""

import socket
import unittest

from surroundings import CAPABILITIES, check_ports, effective

from machine.daemon import Daemon
from machine.process import MachineError


class Surroundings(unittest.TestCase):
    def test_capabilities_are_read_from_the_process(self) -> None:
        ordinary = effective("Name:\tx\nCapEff:\t00000000a80425fb\n")
        privileged = effective("CapEff:\t000001ffffffffff\n")
        for bit in CAPABILITIES.values():
            self.assertFalse(ordinary >> bit & 1)
            self.assertTrue(privileged >> bit & 1)
        self.assertEqual(effective("Name:\tx\n"), 0)

    def test_a_port_that_another_program_has_is_named_with_the_daemon(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with self.assertRaisesRegex(MachineError, f"port {port}, which never-started needs"):
                check_ports({port: Daemon("never-started")})
        check_ports({port: Daemon("never-started")})
