"""Facts and rules: events, aggregates and the rules of the protocol, without I/O, clock or randomness."""
