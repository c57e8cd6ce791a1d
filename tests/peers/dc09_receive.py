"""Plays a receiving centre with PyPI pysiaalarm: acknowledges, prints each event.

usage: dc09_receive.py tcp|udp ACCOUNT [KEY]

It takes a free port and prints {"port": N} first, then one JSON object an event, until its standard
input ends. KEY is ASCII text of 16, 24 or 32 signs.
"""

import json
import socket
import sys

from pysiaalarm import CommunicationsProtocol, SIAAccount, SIAClient


def show(event):
    fields = ("account", "message_type", "sequence", "receiver", "line", "code", "event_type", "event_qualifier",
              "partition", "ri", "zone", "message")
    found = {name: str(value) for name in fields if (value := getattr(event, name, None)) is not None}
    print(json.dumps(found), flush=True)


def main():
    transport, account = sys.argv[1:3]
    key = sys.argv[3] if len(sys.argv) > 3 else None
    tcp = transport == "tcp"
    # The library cannot tell which port it got, so one is found first.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    protocol = CommunicationsProtocol.TCP if tcp else CommunicationsProtocol.UDP
    client = SIAClient("127.0.0.1", port, [SIAAccount(account, key)], show, protocol=protocol)
    client.start()
    print(json.dumps({"port": port}), flush=True)
    sys.stdin.read()
    client.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
