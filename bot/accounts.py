"""Whop's accounts as both files describe them: the one of .env, or those of herald.toml."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import SecretStr

from bot.errors import ConfigurationError
from bot.policy.model import Policy, WhopAccount
from bot.settings import API_KEY, Settings
from bot.whop import Account, gateway_for

if TYPE_CHECKING:
    # Most who ask for accounts send nothing.
    from bot.whop.transport import Transport

# What .env says of its one account, and an account of herald.toml for itself.
_OF_ENV: Final = {"whop_api": "api", "whop_base_url": "base_url"}


class Keyed(NamedTuple):
    """An account and its key, where what sends is built."""

    account: Account
    api_key: SecretStr

    def transport(self) -> "Transport":
        """Return the transport that sends by this account, and to no other address than its own."""
        # Most who name accounts send nothing.
        from bot.whop.transport import Transport  # noqa: PLC0415

        return Transport(api_key=self.api_key, base=self.account.gateway.base)


def accounts_of(settings: Settings, policy: Policy) -> Mapping[str, Account]:
    """Return the accounts by their names; raise ConfigurationError as `keyed_accounts` does."""
    return {one.account.name: one.account for one in keyed_accounts(settings, policy)}


def keyed_accounts(settings: Settings, policy: Policy | None) -> Sequence[Keyed]:
    """Return the accounts with their keys; raise ConfigurationError with what to mend."""
    if policy is None or not policy.accounts:
        return [_account_of_env(settings)]
    if problems := [*_conflicts(settings, policy), *_faulty_keys(settings, policy.accounts)]:
        raise ConfigurationError("\n".join(problems))
    return [_keyed(one, settings.key(one.key)) for one in policy.accounts]


def _account_of_env(settings: Settings) -> Keyed:
    generation, api_key = settings.whop_api, settings.whop_api_key
    if generation is None or api_key is None:
        raise ConfigurationError(
            "WHOP_API_KEY and WHOP_API: both are needed where herald.toml has no [[whop]]: add them to .env."
        )
    origin = settings.whop_base_url
    gateway = gateway_for(generation, origin=origin)
    return Keyed(Account.of(gateway, origin=origin, api_key=api_key), api_key)


def _keyed(account: WhopAccount, api_key: SecretStr | None) -> Keyed:
    if api_key is None:
        raise LookupError(f"the account {account.name} has no key")
    gateway = gateway_for(account.api, origin=account.base_url)
    return Keyed(Account.of(gateway, origin=account.base_url, api_key=api_key, name=account.name), api_key)


def _conflicts(settings: Settings, policy: Policy) -> Iterator[str]:
    given = [name for name in (*_OF_ENV, "whop_api_key") if name in settings.model_fields_set]
    for name in given:
        if name in _OF_ENV:
            yield (
                f"{settings.herald_config}: it has tables [[whop]], and {name.upper()} is set too: remove"
                f" that from .env, and write {_OF_ENV[name]} in each [[whop]]."
            )
        elif all(one.key != API_KEY for one in policy.accounts):
            yield (
                f"{settings.herald_config}: it has tables [[whop]], and {API_KEY} is set, which none of them"
                f' names: write key = "{API_KEY}" in one of them, or remove it from .env.'
            )


def _faulty_keys(settings: Settings, accounts: Sequence[WhopAccount]) -> Iterator[str]:
    known: dict[str, str] = {}
    for one in accounts:
        place = f"{settings.herald_config}: whop “{one.name}”: key"
        api_key = settings.key(one.key)
        if api_key is None:
            yield f"{place}: {one.key} is not set: add a line {one.key}= with the API key to .env."
            continue
        twin = known.setdefault(api_key.get_secret_value(), one.name)
        if twin != one.name:
            yield (
                f"{place}: {one.key} holds the same API key as that of “{twin}”: an account is one key, so"
                " remove one of the two, or correct its key."
            )
