"""A mail server as a process of its own: what it accepts is on disk before it says so.

`python -m tests.faults.sink --port P --control Q --record FILE`. The record gets one line of JSON for every mail,
written and synced before the 250. Addresses that begin with “refused” are refused for good, those that begin with
“later” are put off twice. On the control port a line such as `drop 2`, `hang 1 5`, `refuse 3 451` or `slow 20 0.2`
misbehaves for the next so many mails.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import IO

from ivigtrack.local import ports

LINK = re.compile(r"/c/([A-Za-z0-9_-]{20,})/?")
PUT_OFF_TIMES = 2


@dataclass
class Sink:
    """What the server keeps in mind; `ahead` says how the next mails are treated."""

    record: IO[str]
    later: IO[str]
    ahead: deque[tuple[str, float]] = field(default_factory=deque)
    put_off: Counter[str] = field(default_factory=Counter)

    def keep(self, raw: bytes, recipient: str, answer: str) -> None:
        """Write one mail to the record, synced."""
        mail = message_from_bytes(raw, policy=policy.default)
        body = mail.get_body(("plain",))
        link = LINK.search(body.get_content() if body else "")
        line = {
            "at": time.time(),
            "message_id": str(mail["Message-ID"]).strip(),
            "recipient": recipient,
            "link": hashlib.sha256(link[1].encode()).hexdigest() if link else "",
            "answer": answer,
        }
        self.record.write(json.dumps(line) + "\n")
        self.record.flush()
        os.fsync(self.record.fileno())

    def answer_to_recipient(self, address: str) -> str:
        if address.startswith("refused"):
            return "550 5.1.1 No such mailbox"
        if address.startswith("later") and self.put_off[address] < PUT_OFF_TIMES:
            self.put_off[address] += 1
            self.later.write(f"{address}\n")
            self.later.flush()
            return "451 4.7.1 Come back later"
        return "250 OK"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak SMTP with one client until it leaves."""
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 sink ESMTP\r\n")
        while line := await reader.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            verb = verb.upper()
            answer = "250 OK"
            if verb == "EHLO":
                answer = "250-sink\r\n250 SMTPUTF8"
            elif verb == "RCPT":
                found = re.search(r"<([^>]*)>", rest)
                recipient = found[1] if found else ""
                answer = self.answer_to_recipient(recipient)
            elif verb == "DATA":
                writer.write(b"354 Go on\r\n")
                await writer.drain()
                raw = await reader.readuntil(b"\r\n.\r\n")
                if not (answer := await self._take(raw[:-3], recipient)):
                    writer.transport.abort()
                    return
            elif verb == "QUIT":
                writer.write(b"221 Bye\r\n")
                await writer.drain()
                return
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()

    async def _take(self, raw: bytes, recipient: str) -> str:
        """The answer to a mail; empty to hang up without one."""
        manner, amount = self.ahead.popleft() if self.ahead else ("", 0.0)
        if manner == "refuse":
            return f"{amount:.0f} 4.3.0 Not now"
        if manner == "slow":
            await asyncio.sleep(amount)
        self.keep(raw, recipient, manner if manner in {"drop", "hang"} else "250")
        if manner == "hang":
            await asyncio.sleep(amount)
        return "" if manner in {"drop", "hang"} else "250 Kept"

    async def obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order from the control port."""
        manner, count, *amount = (await reader.readline()).decode().split()
        self.ahead.extend([(manner, float(amount[0]) if amount else 0.0)] * int(count))
        writer.write(b"ok\n")
        await writer.drain()
        writer.close()


async def _run(port: int, control: int, sink: Sink) -> None:
    await asyncio.start_server(sink.obey, ports.HOST, control)
    server = await asyncio.start_server(sink.serve, ports.HOST, port, limit=2**20)
    await server.serve_forever()


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--control", type=int, required=True)
    options.add_argument("--record", required=True)
    chosen = options.parse_args()
    # Whom it has put off it knows after a kill too: otherwise they would be put off for ever.
    with open(chosen.record, "a") as record, open(f"{chosen.record}.later", "a+") as later:
        later.seek(0)
        sink = Sink(record, later, put_off=Counter(later.read().split()))
        asyncio.run(_run(chosen.port, chosen.control, sink))


if __name__ == "__main__":
    main()
