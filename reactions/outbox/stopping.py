"""A process that is told to end sends the mail that is under way, gives back the rest and begins no other."""

_told = False


def stop_soon() -> None:
    """From now on this process begins no mail any more. Safe to call in the handler of a signal."""
    global _told
    _told = True


def is_told() -> bool:
    """This process was told to end."""
    return _told
