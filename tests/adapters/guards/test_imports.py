import subprocess
import sys

import pytest

GUARDS = ("asgi", "bearer", "challenge", "check", "cors", "discovery", "refusals", "session", "source")


@pytest.mark.parametrize("module", GUARDS)
def test_a_guard_imports_msgspec_and_the_standard_library_only(module):
    script = f"""
import sys
before = set(sys.modules)
import grantledger.adapters.guards.{module}
imported = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*imported - set(sys.stdlib_module_names) - {{"grantledger"}})
"""
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert set(ran.stdout.split()) <= {"msgspec", "typing_extensions"}  # which msgspec uses if it is there
