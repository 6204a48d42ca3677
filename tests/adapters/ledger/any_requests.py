"""Random requests for property tests. Each appends to some streams."""

from typing import Any

from hypothesis import strategies as st

from adapters.ledger import facts
from grantledger.application.ports import Conflict, Ledger
from grantledger.domain.aggregate import Change, Versioned
from grantledger.domain.kinds import KINDS
from support import history

KEYS = ("a", "b", "c")
# A request: the streams that it changes, unless their history has ended, and whether it is late. A late
# request has read an older version.
Request = tuple[list[tuple[str, str]], bool]
a_request = st.tuples(
    st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(KEYS)), min_size=1, max_size=3),
    st.booleans(),
)
requests = st.lists(a_request, max_size=25)


async def outcomes(ledger: Ledger, sent: list[Request]) -> list[str]:
    """Send the requests one by one and return what became of each."""
    found = []
    for streams, late in sent:
        seen = [await ledger.load(KINDS[category], key) for category, key in streams]
        changes = [next_change(stream) for stream in seen]
        if late:
            await attempt(ledger, changes[:1])
        found.append(await attempt(ledger, changes))
    return found


def next_change(stream: Versioned[Any]) -> Change[Any]:
    """The next event of the kind's history, on this stream."""
    events = history.every_event(stream.kind.category)[stream.version : stream.version + 1]
    return stream.then(events)


async def attempt(ledger: Ledger, changes: list[Change[Any]]) -> str:
    try:
        await ledger.record(changes, facts.OPERATOR)
    except Conflict:
        return "conflict"
    return "recorded"
