from functools import partial

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from properties.code_lifecycle import CodeLifecycle
from properties.codes_under_test import CodesOfTheDomain, CodesOfTheUseCases
from support.storage import in_memory


@pytest.mark.parametrize(
    ("system", "examples"),
    [(CodesOfTheDomain, 150), (partial(CodesOfTheUseCases, in_memory), 100)],
    ids=["domain", "use cases"],
)
def test_codes_open_one_grant_and_replays_end_it(system, examples):
    run_state_machine_as_test(
        partial(CodeLifecycle, system),  # type: ignore[arg-type] # any factory will do
        settings=settings(max_examples=examples, stateful_step_count=40, deadline=None),
    )
