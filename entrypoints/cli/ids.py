"""Ids as arguments."""

import re

import rich_click as click

# Of a grant: 16 random bytes in base64url, so that one in 64 begins like an option.
_LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{21}")


class CommandOfGrants(click.RichCommand):
    """Takes grant ids as they are, where others would need `--` in front of them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ids = [argument for argument in args if _LIKE_AN_OPTION.fullmatch(argument)]
        rest = [argument for argument in args if argument not in ids]
        return super().parse_args(ctx, [*rest, "--", *ids] if ids and "--" not in args else args)
