"""What an account of gateway.yaml comes to: the surface of its vendor, how it proves itself, and where it is reached."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gateway import settings as files
from gateway.snapshot import Account, full_base
from providers.base import Adapter, Auth

SECRETS = ("api_key", "access_key_id", "access_key_secret", "tenant_id", "client_id", "client_secret")
"""Keys of an account that are nobody's business."""


def make_account(name: str, account: files.Account, surfaces: Mapping[str, Adapter]) -> Account:
    """The account, ready to be used; what it says has been checked."""
    adapter = adapter_of(surfaces, account)
    way = way_of(adapter, account) if adapter else None
    if adapter is None or way is None:
        raise ValueError(f"account {name} has no surface, or no way to prove itself")  # config was not checked
    secrets = _secrets(account)
    own = _path(adapter.base_url)
    base = full_base(account.base_url, own) if account.base_url else adapter.base_url
    if account.auth_url:
        secrets["auth_url"] = account.auth_url
    elif account.base_url and has_host(adapter):  # a proxy or a simulator stands for all of the vendor's hosts
        secrets["auth_url"] = base.removesuffix(own)
    empty = [secret for secret in way.secrets if not secrets.get(secret)]
    if not account.base_url and not has_host(adapter):
        empty.append("base_url")
    off = f"it is switched off: {' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty" if empty else ""
    return Account(
        name,
        account.vendor,
        account.jurisdiction,
        adapter,
        base,
        way,
        secrets,
        off,
        account.headers,
        account.proxy,
        account.timeouts,
        account.api_version or "",
        tuple(spare for more in account.credentials if (spare := _secrets(more)).keys() >= set(way.secrets)),  # an empty one is none
        account.limits,
        account.deployments or {},
        account.bucket or "",
    )


def _secrets(of: files.Account | files.Credential) -> dict[str, str]:
    return {secret: value for secret in SECRETS if (value := getattr(of, secret))}


def _path(url: str) -> str:
    return urlsplit(url).path


def adapter_of(surfaces: Mapping[str, Adapter], account: files.Account) -> Adapter | None:
    """The surface that the account names, else the first, of those that speak its version; None if there is none."""
    asked = [surfaces[account.surface]] if account.surface else surfaces.values()
    return next((adapter for adapter in asked if speaks(adapter, account.api_version or "")), None)


def speaks(adapter: Adapter, version: str) -> bool:
    if not adapter.versions:
        return not version
    return any(re.fullmatch(re.sub("[YMD]", "[0-9]", known), version) for known in adapter.versions)


def no_such_version(surfaces: Mapping[str, Adapter], account: files.Account) -> str:
    """Why no surface is the account's, for whoever wrote it."""
    asked = [surfaces[account.surface]] if account.surface else surfaces.values()
    known = ", ".join(known for adapter in asked for known in adapter.versions if known)
    surface = f"surface {account.surface!r} of {account.vendor}" if account.surface else account.vendor
    if not known:
        return f"{surface} has no versions to choose from"
    if account.api_version:
        return f"{surface} has no version {account.api_version!r}; it takes: {known}"
    return f"is missing: {surface} takes: {known}"


def has_host(adapter: Adapter) -> bool:
    """Whether the vendor itself listens somewhere, and not each account for itself."""
    return "://" in adapter.base_url


def way_of(adapter: Adapter, account: files.Account) -> Auth | None:
    """How the account proves itself: the way it names, else the first whose secrets it has, be they empty where no other's are not."""
    ways = [adapter.auth[account.auth]] if account.auth else list(adapter.auth.values())
    given = [way for way in ways if all(getattr(account, secret) is not None for secret in way.secrets)]
    return next((way for way in given if all(getattr(account, secret) for secret in way.secrets)), next(iter(given), None))
