"""What holds a lock or a thread gets new ones in a forked child: another thread may have held the lock at the fork."""

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    def after_fork(self) -> None:
        """Called in the child, which has no other thread yet."""


_known: weakref.WeakSet[Forked] = weakref.WeakSet()


def survives_fork(thing: Forked) -> None:
    """Its `after_fork` is called in every child that is forked while the thing lives."""
    _known.add(thing)


def _in_child() -> None:
    for thing in list(_known):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
