"""What must hold between settings, each of which is good by itself."""

from typing import TYPE_CHECKING

from grantledger.domain.absolute_uri import parse
from grantledger.entrypoints.settings_rules import IN_MEMORY
from grantledger.entrypoints.settings_sources import SettingsInvalid

if TYPE_CHECKING:
    from grantledger.entrypoints.settings import Settings


def check_together(settings: "Settings") -> None:
    """Raise `SettingsInvalid` for the first setting that another one forbids or needs."""
    _check_resources(settings)
    _check_secrets(settings)
    _check_scopes(settings)
    _check_window(settings)
    _check_sign_in(settings)
    if not settings.is_loopback:
        _check_for_the_network(settings)


def _check_resources(settings: "Settings") -> None:
    if settings.resource is not None and settings.resources:
        raise SettingsInvalid("resources", "must not be set together with resource")


def _check_secrets(settings: "Settings") -> None:
    if settings.master_secret and settings.master_secret_file is not None:
        raise SettingsInvalid("master_secret", "must not be set together with master_secret_file")


def _check_scopes(settings: "Settings") -> None:
    foreign = [token for token in settings.default_scope if token not in settings.policy.known_scopes]
    if foreign or not settings.default_scope:
        sentence = "must name some of scopes and of the resources' scopes"
        raise SettingsInvalid("default_scope", sentence + (f", not {foreign[0]!r}" if foreign else ""))


def _check_window(settings: "Settings") -> None:
    # Whoever retries within the window gets the current access token: it must be alive.
    if settings.refresh_reuse_window >= settings.access_token_expires_in:
        sentence = f"must be less than access_token_expires_in, which is {settings.access_token_expires_in}"
        raise SettingsInvalid("refresh_reuse_window", f"{sentence}, not {settings.refresh_reuse_window}")


def _check_sign_in(settings: "Settings") -> None:
    if settings.login_page is None and settings.logout_page is not None:
        raise SettingsInvalid(
            "logout_page", "must not be set without login_page: the built-in pages sign out by themselves"
        )
    if settings.login_page is not None and settings.sign_up:
        sentence = "must be false with login_page: new users are the host application's to sign up"
        raise SettingsInvalid("sign_up", sentence)


def _check_for_the_network(settings: "Settings") -> None:
    if settings.issuer is None:
        sentence = (
            f"is missing: with host {settings.host!r}, say at which https URL clients reach this server"
        )
        raise SettingsInvalid("issuer", sentence)
    if parse(settings.issuer).scheme != "https":
        sentence = f"must be https, not {settings.issuer!r}, because host {settings.host!r} is not loopback"
        raise SettingsInvalid("issuer", sentence)
    if not settings.master_secret and settings.master_secret_file is None:
        raise SettingsInvalid("master_secret", "is missing: away from loopback, set it or master_secret_file")
    if settings.database == IN_MEMORY:
        raise SettingsInvalid("database", f"must be a file: away from loopback, {IN_MEMORY!r} loses grants")
