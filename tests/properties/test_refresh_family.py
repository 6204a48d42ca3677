from functools import partial

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from properties.grants_under_test import GrantsOfTheDomain, GrantsOfTheUseCases
from properties.refresh_family import RefreshFamily
from support.storage import in_memory


@pytest.mark.parametrize(
    ("system", "examples"),
    [(GrantsOfTheDomain, 200), (partial(GrantsOfTheUseCases, storages=in_memory), 100)],
    ids=["domain", "use cases"],
)
def test_grants_live_by_the_refresh_table(system, examples):
    run_state_machine_as_test(
        partial(RefreshFamily, system),  # type: ignore[arg-type] # any factory will do
        settings=settings(max_examples=examples, stateful_step_count=40, deadline=None),
    )
