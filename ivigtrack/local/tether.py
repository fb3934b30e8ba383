"""Become a command that dies with its parent: `python tether.py PARENT_ID SIGNAL_NUMBER USER COMMAND …`

An own program and not a function between fork and exec, because the parent may have threads. USER is empty to stay who
one is; otherwise a name that root changes to.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Give up root for another user and that user's group."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def tie_to(parent: int, signum: int) -> None:
    """Have the kernel send the signal when the parent dies (Linux only); end at once when it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        sys.exit("The process that started this command is gone.")


def main() -> None:
    parent, signum, user, *command = sys.argv[1:]
    if user:
        become(user)
    # After the change of user, which makes the kernel forget the tie.
    tie_to(int(parent), int(signum))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
