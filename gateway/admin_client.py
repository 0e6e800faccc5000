"""What commands ask of a running gateway's admin API."""

import json
from collections.abc import Sequence
from typing import Any

import click
import httpx

PATIENCE = httpx.Timeout(90.0, connect=5.0)


class AdminError(Exception):
    """The gateway cannot be asked, or says no."""


class AdminClient:
    """The admin API at `url`. Raises AdminError."""

    def __init__(self, url: str, key: str, *, transport: httpx.BaseTransport | None = None) -> None:
        try:
            self._client = httpx.Client(
                base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE, trust_env=False, transport=transport
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as exc:
            raise AdminError("the gateway cannot be asked: --url or --admin-key is not of the right form") from exc
        self._url = url

    def accounts(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "/admin/v1/accounts", "data")["data"])

    def test(self, account: str) -> dict[str, Any]:
        return self._ask("POST", f"/admin/v1/accounts/{account}/test", "ok")

    def _ask(self, method: str, path: str, wanted: str) -> dict[str, Any]:
        try:
            reply = self._client.request(method, path)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise AdminError(
                f"the gateway at {self._url} cannot be asked ({exc.__class__.__name__}): does it run there? See --url"
            ) from exc
        if reply.is_error:
            raise AdminError(f"the gateway at {self._url} says no: {_words(reply)}")
        try:
            answer: dict[str, Any] = reply.json()
            answer[wanted]
        except (ValueError, KeyError, TypeError) as exc:
            raise AdminError(f"the gateway at {self._url} has no admin API: does something else run there? See --url") from exc
        return answer


def _words(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {reply.status_code}; is there an admin key in its config?"


def test_accounts(url: str, key: str, accounts: Sequence[str], *, as_json: bool) -> int:
    """Tests each account and prints what came of it as it comes; 0 if all answer."""
    client = AdminClient(url, key)
    known = client.accounts()
    results = []
    for name in accounts or [account["name"] for account in known if not account["off"]]:
        result = client.test(name)
        results.append(result)
        if not as_json:
            mark = click.style("ok  ", fg="green") if result["ok"] else click.style("fail", fg="red")
            click.echo(f"{mark} {name:20} {result['model']:28} {result['seconds']:7.2f} s  {result['error'] or ''}".rstrip())
    if as_json:
        click.echo(json.dumps(results, ensure_ascii=False, indent=2))
    elif not accounts:
        for account in known:
            if account["off"]:
                click.echo(f"off  {account['name']:20} {account['off']}")
    return 0 if all(result["ok"] for result in results) else 1
