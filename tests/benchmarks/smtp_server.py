"""A mail server that is never the slow part: it takes every mail, keeps none and counts them.

`python -m tests.benchmarks.smtp_server` prints its port and serves until it is ended. VRFY answers with the number of
mails taken so far.
"""

import asyncio


class Taken:
    """So many mails so far, by all connections."""

    mails = 0


class Session(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.got = b""
        self.in_data = False
        transport.write(b"220 ready\r\n")

    def data_received(self, data: bytes) -> None:
        self.got += data
        while True:
            if self.in_data:
                _, end, rest = self.got.partition(b"\r\n.\r\n")
                if not end:
                    return
                self.got, self.in_data = rest, False
                Taken.mails += 1
                self.transport.write(b"250 taken\r\n")
            else:
                line, end, rest = self.got.partition(b"\r\n")
                if not end:
                    return
                self.got = rest
                self.answer(line[:4].upper())

    def answer(self, verb: bytes) -> None:
        if verb == b"DATA":
            self.in_data = True
            self.transport.write(b"354 go on\r\n")
        elif verb == b"VRFY":
            self.transport.write(b"250 %d\r\n" % Taken.mails)
        elif verb == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        elif verb == b"EHLO":
            self.transport.write(b"250-bench\r\n250-SIZE 10000000\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        else:
            self.transport.write(b"250 OK\r\n")


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
