"""When each recent refresh token was superseded, in bounded room.

Times are whole seconds, so one entry per second tells the first generation that was superseded in it:
however fast a client refreshes, there are never more entries than seconds remembered.
"""

MAX_REUSE_WINDOW = 300
"""The longest `refresh_reuse_window` that can be set, in seconds: older entries are forgotten."""

Supersessions = tuple[tuple[int, int], ...]
"""(second, first generation superseded in it), oldest first; an entry reaches up to the next one."""


def superseded(before: Supersessions, generation: int, *, at: int) -> Supersessions:
    """Remember that `generation` was superseded at that second, and forget what no window can reach."""
    # A clock that was set back must not make an older token look fresher than a newer one.
    second = max(at, before[-1][0]) if before else at
    kept = tuple(entry for entry in before if entry[0] >= second - MAX_REUSE_WINDOW)
    return kept if kept and kept[-1][0] == second else (*kept, (second, generation))


def when_superseded(entries: Supersessions, generation: int) -> int | None:
    """Return the second at which `generation` was superseded, None when that is forgotten."""
    return next((second for second, first in reversed(entries) if first <= generation), None)
