"""How users prove who they are."""
