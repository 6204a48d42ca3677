"""The base class of all refusals."""


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A rule refused the request, and nothing was changed.

    The class names the fact that was wrong. HTTP decides which error code and text a client gets for it.
    The message is for the operator's log only; it holds no secret and no personal data.
    """
