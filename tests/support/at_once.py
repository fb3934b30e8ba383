"""Several people in the same moment."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do all in threads that start together. Gives back what each returned or raised."""
    together = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def do(number: int, act: Callable[[], Any]) -> None:
        together.wait()
        try:
            results[number] = act()
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
