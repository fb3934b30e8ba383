"""Are the rates that are kept ready those that the records give?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reactions.rates import keeping


class Command(BaseCommand):
    help = (
        "Compare what is kept ready for rates with the records, infusion by infusion. Fails where they differ and "
        "nothing is repaired. With --repair everything is ready at once, as after a migration of a large database, for "
        "which the worker takes its time; and by the rules of today, as after an update of time zones or PostgreSQL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="put right what is wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        found = keeping.check(repair=options["repair"])
        amiss = []
        if not found.triggers_are_there:
            amiss.append("Triggers that mark what changed are missing.")
        if not found.is_complete:
            amiss.append("What is kept is incomplete or was made by other rules, and is not used.")
        if found.wrong:
            amiss.append(f"Wrong for {len(found.wrong)} patients: {_some(found.wrong)}.")
        self.stdout.write(f"Infusions looked at: {found.infusions}.")
        for line in amiss:
            self.stdout.write(line)
        if amiss and not options["repair"]:
            raise CommandError("The rates that are kept ready are not right. Call it again with --repair.")
        if options["repair"] and not keeping.is_guarded():
            raise CommandError("That could not be repaired: does the database have the latest migrations?")
        self.stdout.write("Repaired." if amiss else "All as it should be.")


def _some(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers[:20]) + (" …" if len(numbers) > 20 else "")
