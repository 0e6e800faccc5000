"""Who may open what: every route of the admin API, and every way to bring a key."""

import hashlib
import re
import sqlite3
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from gateway.api.admin.desk import Desk
from gateway.api.admin.gate import LARGEST_BODY, admin, caller
from gateway.api.admin.routes import api_of
from gateway.api.routes import PATHS
from gateway.yaml_file import ConfigError
from providers.base import Json
from tests.conftest import KEY, NO_TLS, TEAM, Served, snapshot_of
from tests.gateway.api.admin.conftest import Replica
from tests.gateway.api.admin.desk import ADMIN, BLUE, Office, Serve

PAGE = Path(__file__).parents[4] / "docs/admin.md"
ROUTES = [route for route in api_of(Desk(None, None, None, None)).routes if isinstance(route, APIRoute)]  # type: ignore[arg-type]
OPEN = [(method, route.path) for route in ROUTES for method in sorted(route.methods or ())]
PLANTED = "sk-planted-secret-of-nobody-0123456789"


def asked_for(path: str) -> str:
    """The path with something for its parameters."""
    return re.sub(r"\{\w+\}", "x", path)


def test_a_05_the_routes_are_those_of_the_page() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/admin/v1/\S+)` \| ([^|]+) \|", PAGE.read_text("utf-8"), re.M)

    told = {(method, path): role.strip() for method, path, role in rows}

    assert told.keys() == set(OPEN)
    for route in ROUTES:
        whose = "admin" if admin in calls_of(route) else "admin, team"
        assert {told[method, route.path] for method in route.methods or ()} == {whose}


def test_a_05_every_route_asks_for_whom_the_gate_has_let_in() -> None:
    assert len(ROUTES) > 15
    assert all(caller in calls_of(route) for route in ROUTES)


def calls_of(route: APIRoute) -> set[Any]:
    found, left = set(), [route.dependant]
    while left:
        one = left.pop()
        found.add(one.call)
        left += one.dependencies
    return found


@pytest.mark.parametrize(("method", "path"), [*OPEN, ("GET", "/admin/"), ("GET", "/admin/v1/nothing"), ("PUT", "/admin/v1/keys")])
def test_a_05_nothing_is_told_without_the_admin_key_and_nothing_to_a_teams_key(standing: Office, method: str, path: str) -> None:
    made = standing.made("/keys", team="red", name=token_hex(8))
    at = standing.served.url + asked_for(path)

    def reply(headers: dict[str, str]) -> tuple[int, str]:
        told = httpx.request(method, at, headers=headers, trust_env=False, verify=NO_TLS)
        return told.status_code, told.json()["error"]["code"]

    for headers in (
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {ADMIN}x"},
        {"authorization": f"Bearer {ADMIN[:-1]}"},
        {"authorization": f"Basic {ADMIN}"},
        {"authorization": "Bearer bat-nobody"},
    ):
        assert reply(headers) == (401, "invalid_api_key")
    for key in (KEY, made["key"]):
        assert reply({"authorization": f"Bearer {key}"}) == (403, "permission_denied")


@pytest.mark.parametrize("path", [*PATHS, "/v1/models/m", "/openai/deployments/m/chat/completions", "/metrics"])
@pytest.mark.parametrize("key", ["", "wrong", "token"])
def test_a_05_the_data_plane_too_is_closed_to_who_has_no_key_of_a_team(standing: Office, path: str, key: str) -> None:
    given = {"": "", "wrong": "Bearer wrong", "token": "Bearer " + standing.made("/tokens", team="red", name=token_hex(8))["token"]}[key]
    method = next(iter(PATHS.get(path, {"POST" if "deployments" in path else "GET": None})))

    reply = standing.client.request(method, path, headers={"authorization": given} if given else {}, json={"model": "m"})

    error, of_anthropic = reply.json()["error"], path.startswith("/v1/messages")
    told = error["type"] if of_anthropic else error["code"]
    assert (reply.status_code, told) == (401, "authentication_error" if of_anthropic else "invalid_api_key")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_05_whether_it_is_well_is_told_to_everybody_and_nothing_more(office: Office, path: str) -> None:
    assert office.client.get(path).json().keys() <= {"status", "config", "in_flight"}


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_a_05_a_token_opens_what_the_page_says(office: Office, method: str, path: str) -> None:
    token = office.token("red")
    (route,) = [route for route in ROUTES if route.path == path and method in (route.methods or ())]

    reply = office.client.request(method, asked_for(path), headers={"authorization": f"Bearer {token}"}, json={"x": 1})

    if admin in calls_of(route):
        assert reply.status_code in (400, 403)  # what it says may be wrong beside
        assert office.get("/audit")["data"][1:] == []
    else:
        assert reply.status_code in (200, 400, 404)


@pytest.mark.parametrize("carrier", ["api-key", "x-api-key", "cookie", "?key=", "?api_key=", "x-admin-key"])
def test_a_16_the_admin_key_is_taken_from_one_place(office: Office, carrier: str) -> None:
    query = f"{carrier}{ADMIN}" if carrier.startswith("?") else ""
    headers = {} if query else {carrier: f"key={ADMIN}" if carrier == "cookie" else ADMIN}

    assert office.client.get(f"/admin/v1/keys{query}", headers=headers).status_code == 401


@pytest.mark.parametrize("carrier", ["api-key", "x-api-key", "authorization"])
def test_a_16_two_different_keys_at_once_are_refused_and_the_same_twice_is_one(office: Office, carrier: str) -> None:
    both = [("authorization", f"Bearer {ADMIN}")]
    again = f"Bearer {ADMIN}" if carrier == "authorization" else ADMIN

    other = office.client.get("/admin/v1/keys", headers=[*both, (carrier, f"Bearer {KEY}" if carrier == "authorization" else KEY)])
    same = office.client.get("/admin/v1/keys", headers=[*both, (carrier, again)])

    assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_api_key")
    assert same.status_code == 200


def test_a_16_a_teams_key_obeys_the_same_limit_whichever_way_it_comes(replica: Replica, sqlite: str, config: Json) -> None:
    office = replica(sqlite, config, {**TEAM, "limits": {"rpm": 3}}, BLUE)
    key = office.made("/keys", team="red", name="new")["key"]
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}

    def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return office.client.post("/v1/chat/completions", json=body, headers=named).status_code

    allowed = [status(authorization=f"Bearer {key}"), status(api_key=key), status(x_api_key=key)]
    beyond = [status(authorization=f"Bearer {key}"), status(api_key=key), status(x_api_key=key)]

    assert (allowed, beyond) == ([200] * 3, [429] * 3)
    assert status(api_key=key, authorization=f"Bearer {KEY}") == 400
    assert [status(cookie=f"key={key}"), office.client.post(f"/v1/chat/completions?api_key={key}", json=body).status_code] == [401, 401]


def test_a_06_keys_that_begin_and_end_alike_are_different_keys(office: Office, tmp_path: Path) -> None:
    made = {team: office.made("/keys", team=team, name="new") for team in ("red", "blue")}
    alike = {team: "sk-" + "a" * 20 + letter + "b" * 20 for team, letter in (("red", "x"), ("blue", "y"))}
    with sqlite3.connect(tmp_path / "banjia.db") as database:
        for team, secret in alike.items():
            digest = hashlib.sha256(secret.encode()).hexdigest()
            database.execute("UPDATE keys SET digest = ? WHERE id = ?", (digest, made[team]["id"]))
    office.made("/keys", team="red", name="another")  # so that keys are read again

    for secret in alike.values():
        assert office.chat(secret).status_code == 200
    assert office.chat("sk-" + "a" * 20 + "z" + "b" * 20).status_code == 401
    assert [office.served.record().team for _ in range(3)] == ["red", "blue", ""]


def test_a_07_a_key_is_nowhere_once_it_has_been_told(office: Office, tmp_path: Path) -> None:
    key = office.made("/keys", team="red", name="new")
    token = office.made("/tokens", team="red", name="ops")
    rotated = office.made(f"/keys/{key['id']}/rotate", grace="1h")
    office.chat(key["key"])
    secrets = [key["key"], token["token"], rotated["key"]]

    answers = "".join(office.ask("GET", asked_for(path.removeprefix("/admin/v1"))).text for method, path in OPEN if method == "GET")
    files = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

    for secret in secrets:
        for part in (secret, secret[3:23], secret[-20:], hashlib.sha256(secret.encode()).hexdigest()):
            assert part not in answers
        assert secret.encode() not in files
        assert secret[-20:].encode() not in files
        assert hashlib.sha256(secret.encode()).hexdigest().encode() in files


@pytest.mark.parametrize("key", ["", "sk-1234", "123456", "admin", "changeme", "admin123", "a-key-of-15-chr",
                                 "changemechangeme", "1234561234561234", "admin-admin-admin-admin", "sk-1234-sk-1234-sk-1234",
                                 "passwordpassword1", "aaaaaaaaaaaaaaaaaaaa", "Secret_Secret_Secret!"])  # fmt: skip
def test_a_12_an_admin_key_that_is_easy_to_guess_is_refused_and_without_one_there_is_no_admin_api(gateway: Serve, key: str) -> None:
    config: Json = {"providers": {"z": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "id.secret"}}}
    if key:
        with pytest.raises(ConfigError, match=r"admin\.key"):
            snapshot_of({**config, "admin": {"key": key}})
        return

    made: Served = gateway(config)

    for given in ("", "Bearer", "Bearer None", "Bearer admin"):
        assert made.client.get("/admin/v1/keys", headers={"authorization": given}).status_code == 404


def test_a_12_the_admin_key_is_no_teams_key() -> None:
    config: Json = {"providers": {"z": {"vendor": "zhipu", "jurisdiction": "cn-mainland", "api_key": "id.secret"}}}
    team = {**TEAM, "keys": [{"name": "main", "key": ADMIN}]}

    with pytest.raises(ConfigError, match=r"keys\[0\]\.key: is the same as that of the admin"):
        snapshot_of({**config, "admin": {"key": ADMIN}}, team)


def test_a_20_planted_secrets_are_in_no_metric_no_log_of_changes_and_no_database(office: Office, tmp_path: Path) -> None:
    for headers in ({"authorization": f"Bearer {PLANTED}"}, {"api-key": PLANTED}):
        office.client.post("/v1/chat/completions", json={"model": "m", "messages": []}, headers=headers)
        office.client.get("/admin/v1/keys", headers=headers)
    office.chat(KEY, text=f"my key is {PLANTED}")
    office.ask("DELETE", f"/keys/{PLANTED}")
    office.post(f"/keys/{PLANTED}/rotate")
    office.ask("DELETE", f"/tokens/{PLANTED}")
    made = office.made("/keys", team="red", name="new")

    metrics = office.client.get("/metrics", headers={"authorization": f"Bearer {ADMIN}"}).text
    told = metrics + office.ask("GET", "/audit").text + office.ask("GET", "/usage/requests").text
    files = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())

    assert "banjia_requests_total" in metrics
    for secret in (PLANTED, ADMIN, KEY, made["key"], "id.secret"):
        assert secret not in told
        assert secret.encode() not in files


@pytest.mark.parametrize("size", [LARGEST_BODY + 1, 10 * LARGEST_BODY])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_not_taken(office: Office, size: int, *, chunked: bool) -> None:
    body = b" " * size
    content: Any = (body[at : at + 4096] for at in range(0, size, 4096)) if chunked else body

    reply = office.client.post("/admin/v1/keys", content=content, headers={"authorization": f"Bearer {ADMIN}"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")


def test_answers_are_kept_by_nobody_on_the_way(office: Office) -> None:
    for key in (ADMIN, "wrong"):
        reply = office.client.get("/admin/v1/keys", headers={"authorization": f"Bearer {key}", "x-request-id": "mine"})

        assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert reply.headers["x-request-id"] == "mine"
    assert office.client.get("/admin/v1/keys").headers["x-request-id"].startswith("req_")


def test_a_method_that_an_address_does_not_take_is_told_which_it_takes(office: Office) -> None:
    reply = office.ask("PUT", "/reload")

    assert (reply.status_code, reply.json()["error"]["code"], reply.headers["allow"]) == (405, "method_not_allowed", "POST")
