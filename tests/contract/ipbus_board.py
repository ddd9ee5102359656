"""A board that speaks IPbus 2.0 over UDP on loopback: registers that can be read and written, as firmware has them.

Written after "The IPbus Protocol, version 2.0" (R. Frazier et al., 2013): control, status and resend packets, and the
transactions read, write (both also without increment) and read-modify-write.
"""

import socket
import struct
import threading
from contextlib import contextmanager

VERSION = 2
CONTROL, STATUS, RESEND = 0, 1, 2
READ, WRITE, FIXED_READ, FIXED_WRITE, CHANGE_BITS, ADD = range(6)
DONE, BAD_HEADER, NO_SUCH_REGISTER = 0, 1, 4
TABLE = """<?xml version="1.0" encoding="ISO-8859-1"?>
<node id="top">
  <node id="scratch" address="0x0"/>
  <node id="bundle_digest" address="0x100" mode="incremental" size="8"/>
</node>
"""


class Board:
    """Registers, and how the board misbehaves: `silent` boards answer nothing."""

    def __init__(self):
        self.registers = {0: 0, **{0x100 + number: 0 for number in range(8)}}
        self.silent = False
        self.packets = 0
        self.uri = ""

    def show(self, digest):
        for number in range(8):
            self.registers[0x100 + number] = int(digest[8 * number : 8 * number + 8], 16)

    def answer(self, packet):
        order = ">" if packet[0] >> 4 == VERSION else "<"
        words = list(struct.unpack(f"{order}{len(packet) // 4}I", packet))
        kind = words[0] & 0xF
        if kind == STATUS:
            said = [words[0], 1500, 1, 0x200000F0 | 1 << 8, *[0] * 12]
            return struct.pack(f"{order}{len(said)}I", *said)
        said, rest = [words[0]], words[1:]
        while rest:
            header, rest = rest[0], rest[1:]
            took, told = self.transaction(header, rest)
            said += told
            rest = rest[took:]
        return struct.pack(f"{order}{len(said)}I", *said)

    def transaction(self, header, rest):
        """Return how many words it took, and the words of the answer."""
        count, kind = header >> 8 & 0xFF, header >> 4 & 0xF
        base = header & ~0xF
        step = 0 if kind in {FIXED_READ, FIXED_WRITE} else 1
        address = rest[0]
        places = [address + step * number for number in range(count if kind < CHANGE_BITS else 1)]
        if any(place not in self.registers for place in places):
            return (1 if kind in {READ, FIXED_READ} else 1 + count), [base & ~0xFF00 | NO_SUCH_REGISTER]
        if kind in {READ, FIXED_READ}:
            return 1, [base | DONE, *(self.registers[place] for place in places)]
        if kind in {WRITE, FIXED_WRITE}:
            for place, value in zip(places, rest[1 : 1 + count], strict=True):
                self.registers[place] = value
            return 1 + count, [base | DONE]
        before = self.registers[address]
        if kind == CHANGE_BITS:
            self.registers[address] = before & rest[1] | rest[2]
            return 3, [base | DONE, before]
        self.registers[address] = (before + rest[1]) & 0xFFFFFFFF
        return 2, [base | DONE, before]


@contextmanager
def powered():
    board = Board()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(0.1)
        board.uri = f"ipbusudp-2.0://127.0.0.1:{ear.getsockname()[1]}"
        off = threading.Event()

        def listen():
            while not off.is_set():
                try:
                    packet, who = ear.recvfrom(65536)
                except TimeoutError:
                    continue
                board.packets += 1
                if not board.silent:
                    ear.sendto(board.answer(packet), who)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield board
        finally:
            off.set()
            thread.join(5)
