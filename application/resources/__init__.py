"""Resources: what is offered, and the credentials of their servers."""
