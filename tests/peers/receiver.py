"""A receiver of others, PyPI pysiaalarm, takes what our simulator transmits.

Arguments: `tcp` or `udp`, `plain` or a key of 16, 24 or 32 characters, account. Prints `port N`
once it listens, then a line for each event; ends when its standard input is closed.
"""

import socket
import sys

from pysiaalarm import CommunicationsProtocol, SIAAccount, SIAClient


def free_port(way):
    # The library takes a number and tells none: ask the kernel for a free one.
    kind = socket.SOCK_STREAM if way == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tell(event):
    print(f"event {event.account} {event.sequence} {event.event_qualifier}{event.event_type} "
          f"{event.partition} {event.ri}", flush=True)


def main():
    way, secret, account = sys.argv[1:]
    key = None if secret == "plain" else secret
    protocol = CommunicationsProtocol.TCP if way == "tcp" else CommunicationsProtocol.UDP
    port = free_port(way)
    client = SIAClient("127.0.0.1", port, [SIAAccount(account, key, None)], tell, protocol=protocol)
    client.sia_server.daemon_threads = True
    client.start()
    print(f"port {port}", flush=True)
    sys.stdin.read()
    client.stop()


main()
