"""The endpoints and pages: each translates a request, calls a use case and translates the result."""
