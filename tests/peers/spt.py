"""A transmitter of others, PyPI my-dc09-spt, sends to our door and judges our answers.

Arguments: host, port, `tcp` or `udp`, `plain` or a key in hex, account. Prints a line for each
message that was answered as it expects; any other answer is an exception and exit code 1.
"""

import socket
import sys

from my_dc09_spt.msg.dc05_msg import dc05_msg
from my_dc09_spt.msg.dc09_msg import dc09_msg


def carry(host, port, way, block):
    kind = socket.SOCK_STREAM if way == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as link:
        link.settimeout(20)
        link.connect((host, port))
        link.sendall(block)
        return link.recv(5000)


def main():
    host, port, way, secret, account = sys.argv[1:]
    key = None if secret == "plain" else bytes.fromhex(secret)
    unit = dc09_msg(account, key, receiver=1, line=1)
    messages = [(0, unit.dc09poll())]
    for number, code, qualifier in [(1, "101", "1"), (2, "110", "1"), (3, "101", "3"), (4, "302", "1")]:
        event = dc05_msg.dc05event(account, {"code": code, "q": qualifier, "area": "01", "zone": "003"})
        messages.append((number, unit.dc09block(number, "ADM-CID", event)))
    for number, block in messages:
        block = block.encode() if isinstance(block, str) else block
        answer = carry(host, int(port), way, block)
        verdict, _offset = unit.dc09answer(number, answer)
        verdict = verdict.decode() if isinstance(verdict, bytes) else verdict
        if verdict != "ACK":
            raise SystemExit(f"message {number} was answered {verdict}: {answer!r}")
        print(f"{number} {verdict}")


main()
