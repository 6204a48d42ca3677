"""Every session ends by looking for secrets in what it printed; no example of a property is timed."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["support.leaks"]

# A busy machine is slow, which says nothing of the code: pytest's timeout holds for each test. And where `CI`
# is set hypothesis would look at the same examples each time.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)
settings.load_profile("untimed")
