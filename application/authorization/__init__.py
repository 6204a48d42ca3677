"""The authorization endpoint: from the request to the code."""
