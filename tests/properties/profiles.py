"""How long the state machines run, and a check that they did.

Each run takes a new sample (`derandomize` would take the same one each time). A failure prints the steps that
lead to it, shrunk, and a decorator `@reproduce_failure`, which goes above the class of the machine. Where it
failed it is tried first at the next run.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test
from msgspec import Struct

from support.stores import IN_POSTGRESQL

_ROUNDS = 20


class Profile(Struct, frozen=True):
    """The number of examples of a run, and of steps in each, without the first one."""

    examples: int
    steps: int


SHORT = {
    "SQLite": Profile(20, 50),
    "PostgreSQL": Profile(5, 25),
    "HTTP": Profile(5 if IN_POSTGRESQL else 20, 25),
}
"""Many steps where a step is quick, few where it is a request to a server."""

LONG = {"SQLite": Profile(2_000, 50), "PostgreSQL": Profile(500, 50), "HTTP": Profile(2_000, 50)}


class Figures(Struct):
    """The result of a run. `whole` counts the examples that have all steps of the profile."""

    profile: Profile
    examples: int = 0
    whole: int = 0
    steps: int = 0
    seconds: float = 0

    def __str__(self) -> str:
        mean = self.steps / max(1, self.examples)
        return (
            f"{self.examples:,} examples, {self.whole:,} of them of {self.profile.steps} steps, "
            f"mean {mean:.1f}, {self.steps:,} steps in {self.seconds:.0f} s"
        )


class System(Protocol):
    """What every machine can do to the system that it runs against."""

    def advance(self, seconds: int) -> None: ...

    def disable_client(self) -> None: ...

    def delete_client_and_register_again(self) -> None: ...

    def disable_user(self) -> None: ...

    def recorded(self, tag: str) -> int:
        """Count the events with that tag."""
        ...

    def close(self) -> None:
        """Close everything. Raises AssertionError where the rows contradict a replay."""
        ...


class Machine(RuleBasedStateMachine):
    """A machine that counts its steps. `system_for` makes `system`, the system under test."""

    system_for: Callable[..., Any]
    figures: Figures

    def __init__(self) -> None:
        super().__init__()
        self._steps = -1  # an invariant is checked for the first time when the example has begun

    @invariant()
    def _counts(self) -> None:
        self._steps += 1

    def ends(self) -> None:
        """Check what must be true when an example is over. Override."""

    def teardown(self) -> None:
        self.figures.examples += 1
        self.figures.steps += max(0, self._steps)
        self.figures.whole += self._steps >= self.figures.profile.steps
        system: System | None = getattr(self, "system", None)
        if system is None:
            return
        failure = sys.exc_info()[1]
        try:
            if failure is None:
                self.ends()
        finally:
            _close(system, failure)


def _close(system: System, failure: BaseException | None) -> None:
    """Close the system. If the example has failed, what this finds becomes a note to that failure."""
    try:
        system.close()
    except AssertionError as found:
        if failure is None:
            raise
        failure.add_note(str(found))


def run_machine(machine: type[Machine], system: Callable[..., Any], profile: Profile) -> Figures:
    """Run the machine over the system, and raise what it finds.

    Hypothesis ends about one in eight examples early. Those do not count: the run goes on until there are
    enough whole ones.
    """
    figures = Figures(profile)
    # Hypothesis stores failed examples by the name of the class.
    bound = type(machine.__name__, (machine,), {"system_for": staticmethod(system), "figures": figures})
    began = time.monotonic()
    for _ in range(_ROUNDS):
        run_state_machine_as_test(bound, settings=_settings(profile, profile.examples - figures.whole))
        figures.seconds = time.monotonic() - began
        if figures.whole >= profile.examples:
            return figures
    raise AssertionError(f"examples stop too early: {figures}")


def _settings(profile: Profile, examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=profile.steps + 1,
        phases=[Phase.reuse, Phase.generate, Phase.shrink],
        print_blob=True,
    )
