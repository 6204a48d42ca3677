import pytest

from grantledger.application.ports import Conflict, Unavailable
from grantledger.application.retry import retry_on_conflict
from grantledger.domain.refusal import Refusal


class Attempts:
    """A decision whose first attempts end in a conflict."""

    def __init__(self, *, lost: int) -> None:
        self.lost = lost
        self.made = 0

    async def __call__(self) -> str:
        self.made += 1
        if self.made <= self.lost:
            raise Conflict
        return "decided"


@pytest.mark.parametrize("lost", [0, 1, 7])
async def test_an_attempt_is_repeated_until_there_is_no_conflict(lost):
    attempts = Attempts(lost=lost)
    assert await retry_on_conflict(attempts) == "decided"
    assert attempts.made == lost + 1


async def test_gives_up_after_eight_conflicts():
    attempts = Attempts(lost=100)
    with pytest.raises(Unavailable):
        await retry_on_conflict(attempts)
    assert attempts.made == 8


@pytest.mark.parametrize("answer", [Refusal, Unavailable])
async def test_other_exceptions_are_not_retried(answer):
    made = 0

    async def attempt() -> None:
        nonlocal made
        made += 1
        raise answer

    with pytest.raises(answer):
        await retry_on_conflict(attempt)
    assert made == 1
