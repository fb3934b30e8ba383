"""A worker survives the death of its broker, whatever it holds at that moment."""

from pathlib import Path

import pytest

from ivigtrack.celery import app
from ivigtrack.local import broker as local_broker
from ivigtrack.local import processes


def test_a_channel_whose_connection_was_let_go_of_fails_as_a_connection_does(tmp_path: Path) -> None:
    """Celery lets go of a lost connection and then closes its channels: only such an error lets the worker go on."""
    server, url = local_broker.start(tmp_path / "broker", log=tmp_path / "broker.log")
    connection = app.connection_for_read(url)
    try:
        channel, errors = connection.channel(), connection.connection_errors
    finally:
        processes.stop([server])
    connection.collect(socket_timeout=1)
    with pytest.raises(errors, match="The connection to the broker is closed"):
        channel.qos.restore_unacked()
