"""The endpoints and pages: translate the request, call a use case, translate its answer."""
