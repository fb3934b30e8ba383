"""`make bench`: the benchmark that is named, with its options; all of them when none is."""

import sys

from tests.benchmarks import log, mail, rates, search

BENCHMARKS = {"mail": mail.main, "log": log.main, "rates": rates.main, "search": search.main}


def main(arguments: list[str]) -> None:
    if arguments and arguments[0] in BENCHMARKS:
        BENCHMARKS[arguments[0]](arguments[1:])
    elif arguments:
        sys.exit(f"Name a benchmark first: {', '.join(BENCHMARKS)}. Each explains itself with --help.")
    else:
        for benchmark in BENCHMARKS.values():
            benchmark([])


if __name__ == "__main__":
    main(sys.argv[1:])
