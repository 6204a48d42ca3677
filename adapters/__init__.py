"""Each package implements ports, or calls use cases, with one technology."""
