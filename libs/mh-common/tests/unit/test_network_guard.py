"""The tests' own guarantee: no connection leaves the machine."""

import socket

import pytest
from pytest_socket import SocketConnectBlockedError


def test_a_connection_to_another_machine_is_refused() -> None:
    # An address in TEST-NET-1 (RFC 5737), which nobody uses.
    with pytest.warns(UserWarning, match="192.0.2.1"), pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
