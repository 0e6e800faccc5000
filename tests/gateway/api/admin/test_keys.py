"""Keys and tokens over HTTP."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from providers.base import Json
from tests.conftest import KEY, PATIENCE, TEAM
from tests.gateway.api.admin.conftest import Replica
from tests.gateway.api.admin.desk import ADMIN, BLUE, Office

WIDE: Json = {**TEAM, "policy": {"allow": {"cn-mainland": ["cn-mainland"], "hk": ["hk", "cn-mainland"], "cn-hainan": ["cn-mainland"]}}}


def within_patience(true: Callable[[], bool]) -> bool:
    until = monotonic() + PATIENCE
    while not true():
        if monotonic() > until:
            return False
    return True


def test_a_key_serves_from_the_answer_that_makes_it_to_the_one_that_revokes_it(everywhere: Office) -> None:
    made = everywhere.made("/keys", team="red", name="new")

    before = everywhere.chat(made["key"])
    revoked = everywhere.ask("DELETE", f"/keys/{made['id']}")
    after = everywhere.chat(made["key"])

    assert (before.status_code, after.status_code) == (200, 401)
    assert (made["team"], made["name"], made["jurisdiction"], made["state"]) == ("red", "new", "cn-mainland", "active")
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
    assert everywhere.log() == [("admin", "keys.create", made["id"]), ("admin", "keys.revoke", made["id"])]


def test_other_replicas_know_it_a_moment_after(replica: Replica, url: str, config: Json) -> None:
    one, other = replica(url, config), replica(url, config)

    made = one.made("/keys", team="red", name="new")
    assert within_patience(lambda: other.chat(made["key"]).status_code == 200)
    assert one.ask("DELETE", f"/keys/{made['id']}").status_code == 200
    assert within_patience(lambda: other.chat(made["key"]).status_code == 401)


def test_a_rotated_key_holds_beside_its_successor_for_as_long_as_it_is_told(everywhere: Office) -> None:
    old = everywhere.made("/keys", team="red", name="new")

    new = everywhere.made(f"/keys/{old['id']}/rotate", grace="1h")
    kept = everywhere.get(f"/keys/{old['id']}")
    newer = everywhere.made(f"/keys/{new['id']}/rotate")

    assert [everywhere.chat(one["key"]).status_code for one in (old, new, newer)] == [200, 401, 200]
    assert (kept["state"], kept["successor"]) == ("ending", new["id"])
    assert kept["revoked"] - kept["rotated"] == pytest.approx(3600)
    assert everywhere.post(f"/keys/{old['id']}/rotate").status_code == 409
    assert [action for _, action, _ in everywhere.log()] == ["keys.create", "keys.rotate", "keys.rotate"]


def test_keys_are_listed_with_those_of_the_files_and_never_told_again(everywhere: Office) -> None:
    made = everywhere.made("/keys", team="blue", name="new")

    reply = everywhere.ask("GET", "/keys")
    one = everywhere.ask("GET", f"/keys/{made['id']}")

    assert [(key["team"], key["name"], key["origin"]) for key in reply.json()["data"]] == [
        ("red", "main", "file"), ("blue", "main", "file"), ("blue", "new", "api"),
    ]  # fmt: skip
    assert one.json() == {name: value for name, value in made.items() if name != "key"}
    for secret in (made["key"], KEY):
        assert secret not in reply.text + one.text
    assert [key["name"] for key in everywhere.get("/keys", team="red")["data"]] == ["main"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"team": "red"}, 400, "name"),
        ({"name": "new"}, 400, "team"),
        ({"team": "green", "name": "new"}, 400, "team"),
        ({"team": "red", "name": "two words"}, 400, "name"),
        ({"team": "red", "name": 5}, 400, "name"),
        ({"team": "red", "name": "new", "jurisdiction": "us"}, 400, "jurisdiction"),
        ({"team": "red", "name": "new", "jurisdiction": "Hong Kong"}, 400, "jurisdiction"),
        ({"team": "red", "name": "main"}, 409, None),
    ],
)
def test_a_key_that_cannot_be_made_is_told_why(
    replica: Replica, sqlite: str, config: Json, body: Json, status: int, param: str | None
) -> None:
    office = replica(sqlite, config, WIDE, BLUE)

    reply = office.post("/keys", **body)

    assert reply.status_code == status
    assert reply.json()["error"]["param"] == param
    assert office.log() == []


@pytest.mark.parametrize("name", ["key", "digest", "id", "revoked", "successor", "role", "budget", "limits", "created", "rpm"])
def test_a_04_unknown_and_protected_fields_are_refused_and_change_nothing(office: Office, name: str) -> None:
    made = office.made("/keys", team="red", name="kept")
    before = office.get("/keys")

    replies = [
        office.post("/keys", team="red", name="new", **{name: "x"}),
        office.post(f"/keys/{made['id']}/rotate", **{name: "x"}),
        office.post("/tokens", team="red", name="new", **{name: "x"}),
    ]

    assert [(reply.status_code, reply.json()["error"]["param"]) for reply in replies] == [(400, name)] * 3
    assert office.get("/keys") == before
    assert office.get("/tokens")["data"] == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"null", b"[" * 20_000, b"\xff\xfe", b'{"team": "red", "name": NaN}'])
def test_what_is_no_object_of_json_is_refused(office: Office, content: bytes) -> None:
    reply = office.client.post(
        "/admin/v1/keys", content=content, headers={"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
    )

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("grace", ["-1s", "31d", 5, "soon", None, "nan"])
def test_a_grace_has_a_unit_and_an_end(office: Office, grace: Any) -> None:
    made = office.made("/keys", team="red", name="new")

    assert office.post(f"/keys/{made['id']}/rotate", grace=grace).status_code == 400
    assert office.get(f"/keys/{made['id']}")["state"] == "active"


# ---- tokens ----


def test_a_token_opens_its_team_until_it_is_revoked(everywhere: Office) -> None:
    made = everywhere.made("/tokens", team="red", name="ops")
    token = made["token"]

    key = everywhere.made("/keys", token, name="new")
    seen = [(one["team"], one["name"]) for one in everywhere.get("/keys", token)["data"]]
    everywhere.ask("DELETE", f"/tokens/{made['id']}")

    assert (key["team"], seen) == ("red", [("red", "main"), ("red", "new")])
    assert everywhere.ask("GET", "/keys", token).status_code == 401
    assert everywhere.chat(token).status_code == 401
    actor = f"token red/ops ({made['id']})"
    assert everywhere.log() == [
        ("admin", "tokens.create", made["id"]), (actor, "keys.create", key["id"]), ("admin", "tokens.revoke", made["id"]),
    ]  # fmt: skip
    told = everywhere.ask("GET", "/tokens").text
    assert token not in told
    assert [(one["name"], one["role"]) for one in everywhere.get("/tokens")["data"]] == [("ops", "team")]


def test_a_08_what_is_another_teams_is_as_if_it_were_not(everywhere: Office) -> None:
    token = everywhere.token("red")
    theirs = everywhere.made("/keys", team="blue", name="new")

    replies = [
        everywhere.ask(method, path, token)
        for method, path in (
            ("GET", f"/keys/{theirs['id']}"),
            ("DELETE", f"/keys/{theirs['id']}"),
            ("POST", f"/keys/{theirs['id']}/rotate"),
            ("GET", "/keys/key_0123456789abcdef"),
            ("GET", "/keys/1"),
            ("GET", "/keys/%27%20OR%201=1%20--"),
        )
    ]

    assert {reply.status_code for reply in replies} == {404}
    assert theirs["name"] not in {one["name"] for one in everywhere.get("/keys", token)["data"]}
    assert everywhere.chat(theirs["key"]).status_code == 200


@pytest.mark.parametrize("team", ["blue", "nobody"])
def test_a_token_names_no_other_team_whether_there_is_one_or_not(office: Office, team: str) -> None:
    token = office.token("red")

    replies = [
        office.post("/keys", token, team=team, name="new"),
        *(office.ask("GET", path, token, params={"team": team}) for path in ("/keys", "/usage", "/usage/requests", "/teams")),
    ]

    assert {(reply.status_code, reply.json()["error"]["code"]) for reply in replies} == {(403, "permission_denied")}
    assert {reply.text.replace(team, "") for reply in replies} == {replies[0].text.replace(team, "")}


def test_a_04_a_token_makes_no_key_whose_data_may_go_further_than_its_own(replica: Replica, sqlite: str, config: Json) -> None:
    office = replica(sqlite, config, WIDE, BLUE)
    token = office.token("red")
    wide = office.made("/keys", team="red", name="wide", jurisdiction="hk")

    further = office.post("/keys", token, name="new", jurisdiction="hk")
    rotated = office.post(f"/keys/{wide['id']}/rotate", token)
    as_far = office.post("/keys", token, name="new", jurisdiction="cn-hainan")

    assert [reply.status_code for reply in (further, rotated, as_far)] == [403, 403, 201]
    assert office.get(f"/keys/{wide['id']}")["state"] == "active"


def test_a_04_a_token_makes_no_tokens(office: Office) -> None:
    token = office.token("red")

    replies = [office.post("/tokens", token, team="red", name="more"), office.ask("GET", "/tokens", token)]

    assert [reply.status_code for reply in replies] == [403, 403]
    assert len(office.get("/tokens")["data"]) == 1


def test_a_keys_team_that_the_config_no_longer_has_does_not_serve(replica: Replica, sqlite: str, config: Json) -> None:
    made = replica(sqlite, config, TEAM, BLUE).made("/keys", team="blue", name="new")

    later = replica(sqlite, config, TEAM)

    assert later.get(f"/keys/{made['id']}")["state"] == "no_team"
    assert later.chat(made["key"]).status_code == 401
    assert later.post(f"/keys/{made['id']}/rotate").status_code == 400
    assert later.ask("DELETE", f"/keys/{made['id']}").status_code == 200
