"""The only code that knows a library: each package fulfils ports, or calls use cases, with one technology."""
