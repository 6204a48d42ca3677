"""Every session ends by looking for secrets in what it printed."""

pytest_plugins = ["support.leaks"]
