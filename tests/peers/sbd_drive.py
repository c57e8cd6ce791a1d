"""Drives a satellite modem with PyPI adafruit-circuitpython-rockblock over pyserial.

usage: sbd_drive.py PORT

Asks the modem what it is, then sends a message of signs that lines like to eat, and a text; reads what
comes. One JSON object a line. Exit 0 when the driver had nothing to complain about.
"""

import json
import sys

import serial
from adafruit_rockblock import RockBlock

ANSWER_TIMEOUT_S = 20
SENT = b"\r\nOK\r\n\x11\x13\x1a\x1b\x00\xff"


def say(**words):
    print(json.dumps(words), flush=True)


def main():
    line = serial.Serial(sys.argv[1], 19200, timeout=ANSWER_TIMEOUT_S)
    modem = RockBlock(line)
    say(model=modem.model, serial=modem.serial_number, bars=modem.signal_quality, status=modem.status)
    modem.data_out = SENT
    say(session=modem.satellite_transfer())
    # That one failed; the message is still there.
    say(session=modem.satellite_transfer("3703.030,+14053.262"))
    came = modem.data_in
    say(came=came.hex() if came else None, status=modem.status)
    modem.text_out = "help"
    say(session=modem.satellite_transfer())
    say(text=modem.text_in, status=modem.status)
    modem.data_in = None
    say(status=modem.status)


if __name__ == "__main__":
    main()
