"""Removes a member from a Kafka consumer group, as its coordinator does with one it no longer hears of.

A LeaveGroup request in another member's name, spoken on the wire: no client library offers it. The member
itself learns of it only with its next heartbeat, so it goes on for a while as if nothing had happened.
"""

import socket
import struct

LEAVE_GROUP, VERSION = 13, 3


def text(value):
    if value is None:
        return struct.pack(">h", -1)
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def receive(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise ConnectionError("the coordinator closed the connection")
        data += part
    return data


def kick(coordinator, group, member):
    """coordinator: the (host, port) that describe_consumer_groups names."""
    header = struct.pack(">hhi", LEAVE_GROUP, VERSION, 1) + text("dynaferry-e2e")
    body = text(group) + struct.pack(">i", 1) + text(member) + text(None)
    request = header + body
    with socket.create_connection(coordinator, timeout=20) as sock:
        sock.sendall(struct.pack(">i", len(request)) + request)
        answer = receive(sock, struct.unpack(">i", receive(sock, 4))[0])
    # correlation id, throttle time, error code, members [id, instance, error code]
    error = struct.unpack(">h", answer[8:10])[0]
    member_error = struct.unpack(">h", answer[-2:])[0]
    if error or member_error:
        raise RuntimeError(f"LeaveGroup of {member}: error {error}, of the member {member_error}")
