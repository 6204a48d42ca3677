"""How the domain says no."""


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A rule said no and nothing happened.

    The class is the fact that was wrong; what a client is told for it is decided at the edge.
    The message is private detail for the operator's log: it holds no secret and no person's data.
    """
