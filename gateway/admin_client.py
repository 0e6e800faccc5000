"""What commands ask of a running gateway's admin API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import click
import httpx

PATIENCE = httpx.Timeout(90.0, connect=5.0)
Params = Mapping[str, str | int | None]


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

    def __enter__(self) -> "AdminClient":
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()

    def accounts(self) -> list[dict[str, Any]]:
        return self.listed("accounts")

    def test(self, account: str) -> dict[str, Any]:
        return self.ask("POST", f"accounts/{quote(account, safe='')}/test", "ok")

    def listed(self, path: str, **params: str | int | None) -> list[dict[str, Any]]:
        """What a list holds."""
        return list(self.ask("GET", path, "data", params=params)["data"])

    def ask(self, method: str, path: str, wanted: str, *, params: Params | None = None, body: Any = None) -> dict[str, Any]:
        """The answer, which has something of the name `wanted`. `path`: below /admin/v1."""
        with self._told():
            reply = self._client.request(method, f"/admin/v1/{path}", params=_given(params), json=body)
        self._check(reply)
        try:
            answer: dict[str, Any] = reply.json()
            answer[wanted]
        except (ValueError, KeyError, TypeError) as exc:
            raise AdminError(f"the gateway at {self._url} has no admin API: does something else run there? See --url") from exc
        return answer

    def pieces(self, path: str, params: Params) -> Iterator[bytes]:
        """A long answer, as it comes. One that breaks off is an error, never a short one."""
        with self._told(), self._client.stream("GET", f"/admin/v1/{path}", params=_given(params)) as reply:
            if reply.is_error:
                reply.read()
                self._check(reply)
            yield from reply.iter_bytes()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except httpx.RemoteProtocolError as exc:
            raise AdminError(f"the answer of the gateway at {self._url} broke off: what has come of it is not all") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise AdminError(
                f"the gateway at {self._url} cannot be asked ({exc.__class__.__name__}): does it run there? See --url"
            ) from exc

    def _check(self, reply: httpx.Response) -> None:
        if reply.is_error:
            raise AdminError(f"the gateway at {self._url} says no: {_words(reply)}")


def _given(params: Params | None) -> dict[str, str | int]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _words(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {reply.status_code}; is there an admin key in its config?"


def test_accounts(url: str, key: str, accounts: Sequence[str], *, as_json: bool) -> int:
    """Tests each account and prints what came of it as it comes; 0 if all answer."""
    with AdminClient(url, key) as client:
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
