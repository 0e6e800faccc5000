"""The admin API over sockets, and the commands' side of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from gateway import admin_client
from gateway.admin_client import AdminClient, AdminError
from providers.base import Json
from tests.conftest import Served
from tests.gateway.api.admin.conftest import Replica
from tests.gateway.api.admin.desk import ADMIN, Office
from tests.gateway.provider import Make, account_at, failed, refusing, route, said

URL = "http://gateway.test"


@pytest.fixture
def served(replica: Replica, sqlite: str, provider: Make, simulators: str) -> Served:
    zhipu = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": f"{simulators}/zhipu", "api_key": "id.secret"}
    accounts = {"z": zhipu, "wrong": {**zhipu, "api_key": "id.invalid"}, "off": {**zhipu, "api_key": ""}, "p": provider(said()).account()}
    return with_admin(replica(sqlite, {"providers": accounts, "models": route("p/x")}))


def with_admin(office: Office) -> Served:
    office.served.client.headers["authorization"] = f"Bearer {ADMIN}"
    return office.served


def test_the_admin_key_opens_nothing_of_the_data_plane(served: Served) -> None:
    assert served.client.get("/v1/models").status_code == 401


def test_accounts_are_listed_without_their_secrets(served: Served) -> None:
    reply = served.client.get("/admin/v1/accounts")

    accounts = {account["name"]: account for account in reply.json()["data"]}
    assert list(accounts) == ["z", "wrong", "off", "p"]
    assert accounts["z"]["vendor"] == "zhipu"
    assert {"chat", "embeddings", "images", "speech"} <= set(accounts["z"]["endpoints"])
    assert accounts["z"]["off"] is None
    assert accounts["off"]["off"] == "it is switched off: api_key is empty"
    assert "id.secret" not in reply.text
    assert "provider-key" not in reply.text


@pytest.mark.parametrize(
    ("account", "ok", "error"),
    [("z", True, None), ("wrong", False, "auth: "), ("off", False, "it is switched off"), ("p", False, "the catalog has no chat model")],
)
def test_an_account_is_tested_with_a_short_question(served: Served, account: str, ok: bool, error: str | None) -> None:
    told = served.client.post(f"/admin/v1/accounts/{account}/test").json()

    assert (told["account"], told["ok"]) == (account, ok)
    assert (told["error"] or "").startswith(error or "")


def test_an_account_that_is_none_is_told_which_there_are(served: Served) -> None:
    reply = served.client.post("/admin/v1/accounts/nobody/test")

    assert reply.status_code == 404
    assert "there are: z, wrong, off, p" in reply.json()["error"]["message"]


def test_a_gateway_without_a_folder_has_nothing_to_reload(served: Served) -> None:
    assert served.client.post("/admin/v1/reload").status_code == 409


def test_a_reload_tells_what_is_wrong_and_keeps_what_runs(replica: Replica, sqlite: str, tmp_path: Path) -> None:
    office = replica(sqlite, {"providers": {"p": account_at(refusing())}}, directory=tmp_path)
    made = with_admin(office)
    before = made.app.serving.snapshot.revision

    told = made.client.post("/admin/v1/reload").json()
    ready = made.client.get("/readyz").json()

    assert told["config"] == before
    assert len(told["problems"]) == 1
    assert "gateway.yaml: cannot be read" in told["problems"][0]
    assert "see the log" in ready["reload"]
    assert office.log() == [("admin", "config.reload", str(tmp_path))]


# ---- the client ----


@pytest.fixture
def api() -> Iterator[respx.Router]:
    with respx.mock(base_url=URL) as router:
        yield router


def account(name: str, off: str | None = None) -> Json:
    return {"name": name, "off": off}


def outcome(name: str, *, ok: bool = True, error: str | None = None) -> Json:
    return {"account": name, "ok": ok, "model": "glm-5.2", "seconds": 0.5, "error": error}


def test_the_client_comes_with_its_key(api: respx.Router) -> None:
    asked = api.get("/admin/v1/accounts").respond(json={"data": [account("a")]})

    assert AdminClient(URL, ADMIN).accounts() == [account("a")]

    assert asked.calls.last.request.headers["authorization"] == f"Bearer {ADMIN}"


def test_every_account_that_is_on_is_tested_and_what_is_off_is_told(api: respx.Router, capsys: pytest.CaptureFixture[str]) -> None:
    api.get("/admin/v1/accounts").respond(json={"data": [account("a"), account("b", "no key")]})
    api.post("/admin/v1/accounts/a/test").respond(json=outcome("a"))

    code = admin_client.test_accounts(URL, ADMIN, [], as_json=False)

    out = capsys.readouterr().out
    assert code == 0
    assert out.splitlines()[0].split() == ["ok", "a", "glm-5.2", "0.50", "s"]
    assert "off  b" in out


def test_an_account_that_does_not_answer_makes_the_exit_code_1(api: respx.Router, capsys: pytest.CaptureFixture[str]) -> None:
    api.get("/admin/v1/accounts").respond(json={"data": [account("a")]})
    api.post("/admin/v1/accounts/a/test").respond(json=outcome("a", ok=False, error="auth: wrong"))

    assert admin_client.test_accounts(URL, ADMIN, ["a"], as_json=False) == 1
    assert "fail a" in capsys.readouterr().out


BAD: dict[str, Any] = {
    "refused": httpx.ConnectError("refused"),
    "slow": httpx.ReadTimeout("slow"),
    "no": httpx.Response(401, json={"error": {"message": "This is for the admin key"}}),
    "html": httpx.Response(502, html="<html>"),
    "something-else": httpx.Response(200, html="<html>a web server</html>"),
    "another-json": httpx.Response(200, json=["x"]),
    "without-data": httpx.Response(200, json={"ok": True}),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_admin_api_is_told_in_words(api: respx.Router, bad: str) -> None:
    reply = BAD[bad]
    api.get("/admin/v1/accounts").mock(**({"side_effect": reply} if isinstance(reply, Exception) else {"return_value": reply}))

    with pytest.raises(AdminError, match=r"gateway at http://gateway\.test"):
        AdminClient(URL, ADMIN).accounts()


@pytest.mark.parametrize("url", ["gateway", "http://[", "ftp://x", "http://"])
def test_an_address_that_is_none_is_told_in_words(url: str) -> None:
    with pytest.raises(AdminError):
        AdminClient(url, ADMIN).accounts()


def test_a_key_that_no_header_can_hold_is_told_in_words() -> None:
    with pytest.raises(AdminError):
        AdminClient(URL, "ключ").accounts()


def test_an_unreachable_provider_is_a_result_not_a_failure(replica: Replica, sqlite: str, provider: Make) -> None:
    dead = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": refusing().replace("v1", "v4"), "api_key": "id.secret"}
    busy = {**dead, "base_url": provider(failed(500, "key sk-0123456789abcdef")).url.replace("v1", "v4")}
    made = with_admin(replica(sqlite, {"providers": {"dead": dead, "busy": busy}}))

    told = {name: made.client.post(f"/admin/v1/accounts/{name}/test").json()["error"] for name in ("dead", "busy")}

    assert told["dead"].startswith("unreachable: ")
    assert told["busy"] == "overloaded: key ***"
