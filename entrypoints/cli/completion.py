import rich_click as click
from click.shell_completion import get_completion_class

_VARIABLE = "_GRANTLEDGER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes the shell complete commands and options of `grantledger`.

    bash: eval "$(grantledger completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc; fish:
    grantledger completion fish > ~/.config/fish/completions/grantledger.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "grantledger", _VARIABLE).source())
