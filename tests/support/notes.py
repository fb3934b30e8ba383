"""What a test measured, to be read at the end of the run: counts, never a verdict."""

MEASURED: list[str] = []


def note(line: str) -> None:
    """Show the line when the run is over."""
    MEASURED.append(line)
