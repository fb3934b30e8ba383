"""A patient at the pages of a check-in, without a browser: each screen as its form sends it."""

import re
from typing import Any

from django.test import Client

TO_SEND = "check/"


def form_of(client: Client, address: str) -> dict[str, str]:
    """What the form of the page carries unseen, as a browser sends it back."""
    text = client.get(address).content.decode()
    return {
        name: found[1]
        for name in ("submission_id", "opened")
        if (found := re.search(rf'name="{name}" value="([^"]+)"', text))
    }


def fill(client: Client, first: str, symptoms: dict[str, str], **said: Any) -> Any:
    """Fill in every screen for these {symptom: severity}, up to the last page, which is not sent.

    `said` gives what the other screens say: began_at, still_there (of every symptom), care_sought, effects, comment.
    """
    client.post(first, {"has_problem": "yes"})
    client.post(f"{first}problems/", {"symptoms": list(symptoms)})
    for symptom, severity in symptoms.items():
        of_one = {name: said[name] for name in ("began_at", "still_there") if name in said}
        client.post(f"{first}problem-{symptom}/", {"severity": severity} | of_one)
    client.post(f"{first}care/", {"care_sought": said.get("care_sought", "")})
    client.post(f"{first}day/", {"effects": said.get("effects", [])})
    return client.post(f"{first}more/", {"comment": said.get("comment", "")}, follow=True)


def answer(client: Client, first: str, symptoms: dict[str, str], **said: Any) -> Any:
    """Fill in every screen and send. Returns the page of thanks."""
    fill(client, first, symptoms, **said)
    return client.post(f"{first}{TO_SEND}", follow=True)
