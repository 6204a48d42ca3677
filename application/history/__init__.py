"""What clients and grants were at a moment of the past."""
