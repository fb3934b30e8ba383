"""The words of a search, sealed for an address: what stands in an address stays in histories and logs."""

from patients.sealing.keys import KeysDoNotFit, seal, unseal

PURPOSE = "patients.search"
LONGEST = 200


def hide(words: str) -> str:
    """The words as they go into an address; empty for none."""
    plain = words.replace("\x00", "").strip()[:LONGEST]
    return seal(PURPOSE, plain) if plain else ""


def reveal(token: str) -> str:
    """The words again; none for what was not made here, such as words that somebody wrote into the address."""
    try:
        return unseal(PURPOSE, token) if token else ""
    except KeysDoNotFit:
        return ""
