"""Plays a home unit with PyPI my-dc09-spt: sends events and a link test, prints what came back.

usage: dc09_transmit.py HOST PORT tcp|udp ACCOUNT [KEY]

KEY is ASCII text of 16 or 32 signs. One JSON object a line: {"sent": ..., "answer": ..., "offset_s": ...}.
Exit 0 when each was acknowledged.
"""

import json
import socket
import sys

from my_dc09_spt.msg.dc05_msg import dc05_msg
from my_dc09_spt.msg.dc09_msg import dc09_msg

ANSWER_TIMEOUT_S = 20
EVENTS = [("press", "101", "1"), ("fire", "110", "1"), ("restore", "101", "3"), ("battery", "302", "1")]


def exchange(link, block):
    link.sendall(block.encode("ascii"))
    answer = b""
    while not answer.endswith(b"\r"):
        read = link.recv(4105)
        if not read:
            raise EOFError("the receiver hung up")
        answer += read
    return answer.decode("ascii")


def main():
    host, port, transport, account = sys.argv[1:5]
    key = sys.argv[5].encode("ascii") if len(sys.argv) > 5 else None
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    unit = dc09_msg(account, key, receiver=1, line=1)
    messages = [("link test", 0, unit.dc09poll())]
    for sequence, (name, code, qualifier) in enumerate(EVENTS, start=1):
        event = dc05_msg.dc05event(account, {"code": code, "q": qualifier, "area": "01", "zone": "003"})
        messages.append((name, sequence, unit.dc09block(sequence, "ADM-CID", event)))
    acknowledged = 0
    with socket.socket(socket.AF_INET, kind) as link:
        link.settimeout(ANSWER_TIMEOUT_S)
        link.connect((host, int(port)))
        for name, sequence, block in messages:
            answer, offset = unit.dc09answer(sequence, exchange(link, block))
            acknowledged += answer == "ACK"
            print(json.dumps({"sent": name, "answer": answer, "offset_s": offset}), flush=True)
    return 0 if acknowledged == len(messages) else 1


if __name__ == "__main__":
    sys.exit(main())
