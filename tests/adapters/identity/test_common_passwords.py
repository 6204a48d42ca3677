import asyncio
import subprocess
import sys

import pytest

from grantledger.adapters.identity import common_passwords
from grantledger.adapters.identity.common_passwords import ListedPasswords
from grantledger.domain.password import cores


@pytest.mark.parametrize(
    "password", ["1qaz2wsx3edc", "passwordpassword", "123456789012", "Qwertyuiop123", "iloveyou2026"]
)
async def test_a_password_from_a_breach_is_found(password):
    assert await ListedPasswords().include(set(cores(password)))


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "quite another password", "x9$kQ2!vL0pz"]
)
async def test_any_other_password_is_not_found(password):
    assert not await ListedPasswords().include(set(cores(password)))


async def test_parallel_first_uses_load_the_list_once(monkeypatch):
    loads = []

    def load() -> str:
        loads.append("once")
        return "\ndragon\n"

    monkeypatch.setattr(common_passwords, "_loaded", load)
    listed = ListedPasswords()
    assert await asyncio.gather(*(listed.include({"dragon"}) for _ in range(4))) == [True] * 4
    assert loads == ["once"]


def test_the_list_is_loaded_only_when_it_is_needed():
    program = "import sys, grantledger.entrypoints.server; print('zxcvbn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
