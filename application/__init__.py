"""The use cases, and the ports through which they reach storage, time and secrets."""
