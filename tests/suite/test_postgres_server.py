"""`TEST_POSTGRES_URL` selects the server of the tests, which leave nothing behind on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import postgres

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("chosen", "used"),
    [
        ("postgresql://me:se%2Fcret@db:5433/any", "postgresql://me:se%2Fcret@/any?host=db&port=5433"),
        ("postgresql://db/any?sslmode=require", "postgresql:///any?sslmode=require&host=db"),
        ("postgresql://me@[::1]/any", "postgresql://me@/any?host=%3A%3A1"),
        ("postgresql://me@/any?host=/run/db", "postgresql://me@/any?host=/run/db"),
    ],
)
def test_host_and_port_become_parameters_to_which_tests_can_add_others(chosen: str, used: str):
    assert postgres.with_host_as_parameter(chosen) == used


@pytest.mark.full
def test_the_databases_of_a_process_are_dropped_when_it_ends():
    url = postgres.server_url()
    command = (sys.executable, "-c", "from support import postgres; print(postgres.new_database())")
    environ = os.environ | {"TEST_POSTGRES_URL": url, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    name = done.stdout.partition("?")[0].rpartition("/")[2]
    assert name.startswith("test_")
    assert postgres.rows(url, "SELECT 1 FROM pg_database WHERE datname = %s", name) == []
