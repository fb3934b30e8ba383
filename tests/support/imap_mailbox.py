"""A mailbox behind a small IMAP server: enough of RFC 3501 to sign in, search, fetch and mark as seen."""

import re
import socketserver
import threading
from typing import Any, Self


class ImapMailbox:
    """`seen` holds the places of the mails that were marked as seen."""

    def __init__(self, mails: list[bytes], *, password: str) -> None:
        self.mails, self.password = mails, password
        self.seen: set[int] = set()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"* OK ready\r\n")
                for line in self.rfile:
                    tag, _, command = line.decode().strip().partition(" ")
                    self.wfile.write(box._answer(command) + f"{tag} {box._status(command)}\r\n".encode())
                    if command.upper().startswith("LOGOUT"):
                        return

        return Handler

    def _status(self, command: str) -> str:
        wrong = command.upper().startswith("LOGIN") and f'"{self.password}"' not in command
        return "NO wrong password" if wrong else "OK done"

    def _answer(self, command: str) -> bytes:
        upper = command.upper()
        if upper.startswith("CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1\r\n"
        if upper.startswith("SELECT"):
            return f"* {len(self.mails)} EXISTS\r\n".encode()
        if upper.startswith("UID SEARCH UNSEEN"):
            unseen = [str(place) for place in range(1, len(self.mails) + 1) if place not in self.seen]
            return f"* SEARCH {' '.join(unseen)}\r\n".encode()
        if found := re.match(r"UID FETCH (\d+) \(BODY\.PEEK\[\]\)", upper):
            raw = self.mails[int(found[1]) - 1]
            head = f"* {found[1]} FETCH (UID {found[1]} BODY[] {{{len(raw)}}}\r\n"
            return head.encode() + raw + b")\r\n"
        if found := re.match(r"UID STORE (\d+) \+FLAGS \(\\SEEN\)", upper):
            self.seen.add(int(found[1]))
        return b""

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
