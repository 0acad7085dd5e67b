"""The gate carries bytes, refuses and cuts, and keeps what comes until it opens."""

import socket
import threading

import pytest
from .tcp_gate import TcpGate


def echo(listener):
    while True:
        try:
            client = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=answer, args=(client,), daemon=True).start()


def answer(client):
    with client:
        while data := client.recv(100):
            client.sendall(data)


@pytest.fixture
def gate():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        with TcpGate(*listener.getsockname()) as found:
            yield found
        listener.shutdown(socket.SHUT_RDWR)


def connect(gate):
    host, port = gate.address.split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_what_is_sent_comes_back(gate):
    with connect(gate) as client:
        client.sendall(b"there")
        assert client.recv(100) == b"there"


def test_a_gate_that_refuses_cuts_and_then_takes_connections_at_the_same_port(gate):
    with connect(gate) as client:
        client.sendall(b"there")
        assert client.recv(100) == b"there"
        gate.refuse()
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(gate)
    gate.accept()
    with connect(gate) as client:
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def test_a_closed_gate_keeps_what_comes(gate):
    gate.close()
    with connect(gate) as client:
        client.sendall(b"later")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        gate.open.set()
        client.settimeout(20)
        assert client.recv(100) == b"later"
