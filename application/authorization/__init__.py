"""The authorization endpoint's use cases, from the request to the code."""
