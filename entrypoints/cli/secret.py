from collections.abc import Callable
from pathlib import Path

import rich_click as click

from grantledger.adapters.ledger import migrations
from grantledger.entrypoints import secret_file
from grantledger.entrypoints.cli.failures import Failed
from grantledger.entrypoints.cli.options import database_options, json_option, settings_of
from grantledger.entrypoints.cli.output import moment, print_record
from grantledger.entrypoints.cli.progress import progress
from grantledger.entrypoints.cli.secret_lines import Record, print_secrets, used_secrets
from grantledger.entrypoints.container import Container
from grantledger.entrypoints.master_secret import master_secret_path
from grantledger.entrypoints.settings import Settings


@click.group()
def secret() -> None:
    """The master secrets: the first one seals tokens, cookies and private records, all of them open.

    To change it: `secret rotate` adds a new one, which every server learns when it is restarted; `secret
    rotate --to KEY_ID` lets it seal; `secret retire KEY_ID` drops the old one. Nobody is signed out by that.
    """


@secret.command("list")
@json_option
@database_options
def list_secrets(*, as_json: bool, database: str | None, config: Path | None) -> None:
    """Show what is sealed under each master secret: private records, and tokens of live grants."""
    print_secrets(used_secrets(_container(settings_of(database, config))), as_json=as_json)


@secret.command()
@click.option("--to", "to", metavar="KEY_ID", help="Let this secret seal, which every server knows by now.")
@click.option("--yes", is_flag=True, help="Do not ask whether every server was restarted.")
@json_option
@database_options
def rotate(*, to: str | None, yes: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Begin to use a new master secret, in two steps between which every server is restarted.

    Without --to a new secret is made and added as the last one: it opens, and seals nothing yet. With --to it
    becomes the first one, and the private records are sealed anew under it, a batch at a time while servers
    go on; when that is cut short, the same command finishes it. Tokens that were sealed under the old secret
    stay good as long as it is kept: `secret list` shows until when they live.
    """
    settings = settings_of(database, config)
    container = _container(settings)
    if to is None:
        _add(settings, container, as_json=as_json)
        return
    _check_known(container, to)
    if container.master_secrets().newest != to:
        if not yes:
            click.confirm(
                f"Servers that do not know {to} will refuse its tokens. Was every server restarted since it "
                "was added?",
                abort=True,
                err=True,
            )
        _change_file(settings, lambda path: secret_file.put_first(path, to), f"move {to} to the front")
        container = _container(settings)
    done = _reseal(container, to)
    if as_json:
        print_record({"key_id": to, "step": "activated", "resealed": done})
    else:
        click.echo(f"{done} private records are sealed anew under {to}.")
        click.echo("Restart every server, so that new tokens are sealed under it too.")
    _say_what_lives(used_secrets(container), to)


@secret.command()
@click.argument("key_id")
@click.option(
    "--force",
    is_flag=True,
    help="Also while tokens of it live: their clients send users to the browser again. For one that leaked.",
)
@json_option
@database_options
def retire(key_id: str, *, force: bool, as_json: bool, database: str | None, config: Path | None) -> None:
    """Drop an old master secret once nothing that is alive was sealed under it."""
    settings = settings_of(database, config)
    container = _container(settings)
    _check_known(container, key_id)
    if key_id == container.master_secrets().newest:
        raise Failed(f"{key_id} is the secret that seals: rotate to another one first")
    (used,) = [one for one in used_secrets(container) if one["key_id"] == key_id]
    if used["private_records"]:
        newest = container.master_secrets().newest
        raise Failed(
            f"{used['private_records']} private records are sealed under {key_id}: run "
            f"`grantledger secret rotate --to {newest}` first"
        )
    if used["live_grants"] and not force:
        raise Failed(
            f"{used['live_grants']} live grants have tokens of {key_id}, "
            f"until {moment(used['live_until'])} UTC: keep it until then, or give --force"
        )
    _change_file(settings, lambda path: secret_file.removed(path, key_id), f"remove {key_id}")
    if as_json:
        print_record({"key_id": key_id, "step": "retired"})
        return
    click.echo(f"{key_id} is retired: restart every server, so that they forget it too.")


def _container(settings: Settings) -> Container:
    container = Container(settings=settings)
    migrations.check(container.database())  # before a secret is asked for: looking makes none
    return container


def _check_known(container: Container, key_id: str) -> None:
    known = container.master_secrets().key_ids
    if key_id not in known:
        raise Failed(f"there is no master secret {key_id!r}, only {', '.join(known)}")


def _add(settings: Settings, container: Container, *, as_json: bool) -> None:
    unused = [
        one["key_id"]
        for one in used_secrets(container)
        if one["role"] == "opens" and not one["private_records"] and not one["live_grants"]
    ]
    if unused:
        raise Failed(
            f"{unused[0]} is there already and nothing is sealed under it: go on with `grantledger secret "
            f"rotate --to {unused[0]}`, or drop it with `grantledger secret retire {unused[0]}`"
        )
    new: list[str] = []
    _change_file(
        settings,
        lambda path: new.append(secret_file.added(path)),
        "add a new one there as the last (`openssl rand -base64 32` makes one), restart every server, and "
        "see its key id with `grantledger secret list`",
    )
    if as_json:
        print_record({"key_id": new[0], "step": "added"})
        return
    click.echo(f"{new[0]} is added and seals nothing yet.")
    click.echo("1. Restart every server, so that each can open what will be sealed under it.")
    click.echo(f"2. Run: grantledger secret rotate --to {new[0]}")


def _change_file(settings: Settings, change: Callable[[Path], None], by_hand: str) -> None:
    path = master_secret_path(settings)
    if path is None:
        raise Failed(f"the master secrets stand in the setting master_secret: {by_hand}")
    try:
        change(path)
    except OSError as error:
        raise Failed(f"{path} cannot be changed ({error.strerror}): {by_hand}") from None


def _reseal(container: Container, newest: str) -> int:
    resealing = container.resealing()
    waiting = sum(count for key_id, count in resealing.counts().items() if key_id != newest)
    done = 0
    with progress("Sealing private records anew") as tell:
        for batch in resealing.run(newest):
            done += batch
            tell(done, max(done, waiting))
    return done


def _say_what_lives(found: list[Record], newest: str) -> None:
    for one in found:
        if one["key_id"] != newest and one["live_grants"]:
            until = moment(one["live_until"])
            click.secho(
                f"Keep {one['key_id']}: {one['live_grants']} live grants have tokens of it, the last until "
                f"{until} UTC. Then run: grantledger secret retire {one['key_id']}",
                fg="yellow",
                err=True,
            )
