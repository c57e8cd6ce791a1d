"""Puts a fake modem of PyPI python-gsmmodem-new on a pty: a telephone modem, no satellite modem.

usage: gsm_modem.py SOURCES MODEM LINK [echo] [errors] [unasked]

SOURCES is the unpacked source package, MODEM a class of its test/fakemodems.py, LINK the name that the
pty gets. With `echo` the line gives back what is typed until ATE0, as its makers' modems do; with
`errors` what the fake does not know ends in an error, where it says OK by itself; with `unasked` each
answer has an incoming call around it and inside it. Prints each command that it was told, one a line.
Ends when its standard input does.
"""

import os
import pty
import select
import sys
import tty

READ_SIZE = 512


def main():
    sources, name, link, *ways = sys.argv[1:]
    sys.path.insert(0, sources)
    from test import fakemodems

    modem = getattr(fakemodems, name)()
    if "errors" in ways:
        modem.defaultResponse = ["+CME ERROR: 100\r\n"]
        for command in ("AT\r", "ATE0\r", "ATV1\r", "AT&K0\r", "AT&D0\r"):
            modem.responses.setdefault(command, ["OK\r\n"])
    line, other = pty.openpty()
    tty.setraw(other)
    os.symlink(os.ttyname(other), link)
    echo, typed = "echo" in ways, b""
    while True:
        ready, _, _ = select.select([line, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        for byte in os.read(line, READ_SIZE):
            typed += bytes([byte])
            if echo:
                os.write(line, bytes([byte]))
            # An escape and a line feed are nothing to it.
            if byte != 0x0D:
                continue
            command, typed = typed.strip(b"\x1b\n").decode("latin-1"), b""
            print(command.strip(), flush=True)
            echo = echo and command != "ATE0\r"
            answer = [part for part in modem.getResponse(command) if isinstance(part, str)]
            if "unasked" in ways:
                call = modem.getIncomingCallNotification("+819000000119")
                answer = call + answer[:-1] + call + answer[-1:] + call
            os.write(line, "".join(answer).encode())


if __name__ == "__main__":
    main()
