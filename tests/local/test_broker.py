from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis

from ivigtrack.local import broker, ports, processes


def test_the_broker_answers_until_it_is_stopped_and_then_frees_its_port(tmp_path: Path) -> None:
    child, url = broker.start(tmp_path / "data", log=tmp_path / "log")
    port = urlsplit(url).port or 0
    assert broker.answers(url)
    processes.stop([child], patience=5)
    assert not broker.answers(url)
    assert ports.is_free(port)


def test_the_broker_keeps_its_queue_over_a_restart(tmp_path: Path) -> None:
    first, url = broker.start(tmp_path / "data", log=tmp_path / "log")
    with Redis.from_url(url) as client:
        client.rpush("queue", "task")
    processes.stop([first], patience=5)
    second, url = broker.start(tmp_path / "data", log=tmp_path / "log")
    with Redis.from_url(url) as client:
        assert client.lrange("queue", 0, -1) == [b"task"]
    processes.stop([second], patience=5)


def test_nothing_answers_where_nothing_listens() -> None:
    assert not broker.answers(f"redis://127.0.0.1:{ports.any_free()}/0")
