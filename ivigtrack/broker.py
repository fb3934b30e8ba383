"""Kombu's Redis transport, which a worker survives when its broker dies.

When the connection is lost, Celery lets go of it and then closes its channels. A channel that still holds a message
which nobody has acknowledged wants to give it back, asks for the address of a connection that is gone, and fails with
an AttributeError that Celery takes for the end: the worker's main process stops, or hangs (kombu 5.7). As an error of
the connection it is what Celery expects there, and the worker connects anew. The message is not lost for that: the next
tick does the same.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("The connection to the broker is closed.")
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]
        return parameters


class Transport(redis.Transport):
    Channel = Channel


def use() -> None:
    """Let every redis:// address lead through this transport."""
    TRANSPORT_ALIASES["redis"] = "ivigtrack.broker:Transport"
