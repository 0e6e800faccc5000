"""The commands that ask a running gateway's admin API. Each calls a function of admin_reports.py, imported when it runs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.terminal import EXAMPLES, PORT, fail

if TYPE_CHECKING:
    from gateway.admin_client import AdminClient

C = TypeVar("C", bound=Callable[..., Any])


def gateway_options(command: C) -> C:
    """Which gateway, and with which key."""
    key = click.option("--admin-key", envvar="BANJIA_ADMIN_KEY", required=True, show_envvar=True, help="Its admin key, or a team's token.")
    url = click.option(
        "--url", default=f"http://127.0.0.1:{PORT}", show_default=True, envvar="BANJIA_URL", show_envvar=True, help="The gateway."
    )
    return url(key(command))


json_option = click.option("--json", "as_json", is_flag=True, help="JSON rather than a table.")
team_option = click.option("--team", help="Of this team.")


@contextmanager
def asking(url: str, admin_key: str) -> Iterator["AdminClient"]:
    """A client of that gateway. What it says no to ends the command."""
    from gateway.admin_client import AdminClient, AdminError

    try:
        with AdminClient(url, admin_key) as client:
            yield client
    except AdminError as exc:
        fail(str(exc))


@click.group()
def keys() -> None:
    """Make, list, rotate and revoke keys of teams."""


@keys.command(epilog=EXAMPLES + "banjia keys create --team search --name ci")
@click.option("--team", help="Whose key it is; needed with the admin key.")
@click.option("--name", required=True, help="What it is called in usage.")
@click.option("--jurisdiction", help="Where those who use it are.  [default: the team's]")
@json_option
@gateway_options
def create(team: str | None, name: str, jurisdiction: str | None, as_json: bool, url: str, admin_key: str) -> None:
    """Make a key and print it, once."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.create_key(client, team, name, jurisdiction, as_json=as_json))


@keys.command("list", epilog=EXAMPLES + "banjia keys list --team search")
@team_option
@click.option("--all", "revoked", is_flag=True, help="Those that have been revoked, too.")
@json_option
@gateway_options
def list_keys(team: str | None, revoked: bool, as_json: bool, url: str, admin_key: str) -> None:
    """List keys, those of files too."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.list_keys(client, team, revoked=revoked, as_json=as_json))


@keys.command(epilog=EXAMPLES + "banjia keys rotate key_5f8c0d1e2a3b4c5d --grace 24h")
@click.argument("key_id")
@click.option("--grace", default="0s", show_default=True, help="How long the old one goes on to hold.")
@json_option
@gateway_options
def rotate(key_id: str, grace: str, as_json: bool, url: str, admin_key: str) -> None:
    """Make another key in the place of KEY_ID and print it, once."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.rotate_key(client, key_id, grace, as_json=as_json))


@keys.command(epilog=EXAMPLES + "banjia keys revoke key_5f8c0d1e2a3b4c5d")
@click.argument("key_id")
@json_option
@gateway_options
def revoke(key_id: str, as_json: bool, url: str, admin_key: str) -> None:
    """End a key."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.revoke_key(client, key_id, as_json=as_json))


@click.group()
def tokens() -> None:
    """Make, list and revoke tokens that open the admin API for one team."""


@tokens.command("create", epilog=EXAMPLES + "banjia tokens create --team search --name ops")
@click.option("--team", required=True, help="What it sees and changes.")
@click.option("--name", required=True, help="What it is called in the audit log.")
@json_option
@gateway_options
def create_token(team: str, name: str, as_json: bool, url: str, admin_key: str) -> None:
    """Make a token and print it, once."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.create_token(client, team, name, as_json=as_json))


@tokens.command("list", epilog=EXAMPLES + "banjia tokens list")
@json_option
@gateway_options
def list_tokens(as_json: bool, url: str, admin_key: str) -> None:
    """List tokens."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.list_tokens(client, as_json=as_json))


@tokens.command("revoke", epilog=EXAMPLES + "banjia tokens revoke tok_5f8c0d1e2a3b4c5d")
@click.argument("token_id")
@json_option
@gateway_options
def revoke_token(token_id: str, as_json: bool, url: str, admin_key: str) -> None:
    """End a token."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.revoke_token(client, token_id, as_json=as_json))


@click.command(epilog=EXAMPLES + "banjia usage --from 2026-11-01 --group-by team,day")
@click.option("--from", "since", metavar="TIME", help="A day (UTC), a time with its zone, or unix seconds.")
@click.option("--to", "until", metavar="TIME", help="The same; not part of it.")
@team_option
@click.option("--key", help="Of this key.")
@click.option("--user", help="Of this user.")
@click.option("--account", help="Served by this account.")
@click.option("--model", help="Asked for by this name.")
@click.option("--served-model", help="Served by this model.")
@click.option(
    "--group-by", default="team", show_default=True, metavar="NAMES", help="Of team, key, user, account, model, served_model, day."
)
@click.option("--requests", is_flag=True, help="Request by request: lines of JSON, or CSV.")
@click.option("--retiring", is_flag=True, help="Who still calls names that OpenAI ends, and what serves them.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV rather than a table.")
@json_option
@gateway_options
def usage(since: str | None, until: str | None, group_by: str, requests: bool, retiring: bool, as_csv: bool, as_json: bool, url: str,
          admin_key: str, **filters: str | None) -> None:  # fmt: skip
    """Show what was used, added up or request by request."""
    from gateway import admin_reports

    asked = {"from": since, "to": until, **filters}
    if retiring and (requests or as_csv):
        raise click.UsageError("--retiring is a table of its own: leave out --requests and --csv")
    with asking(url, admin_key) as client:
        if requests:
            sys.exit(admin_reports.export_requests(client, asked, as_csv=as_csv))
        if retiring:
            sys.exit(admin_reports.show_retiring(client, asked, as_json=as_json))
        sys.exit(admin_reports.show_usage(client, asked, group_by, as_csv=as_csv, as_json=as_json))


@click.command(epilog=EXAMPLES + "banjia teams --team search")
@team_option
@json_option
@gateway_options
def teams(team: str | None, as_json: bool, url: str, admin_key: str) -> None:
    """Show what teams have used of their limits and budgets."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.show_teams(client, team, as_json=as_json))


@click.command(epilog=EXAMPLES + "banjia accounts")
@json_option
@gateway_options
def accounts(as_json: bool, url: str, admin_key: str) -> None:
    """Show how accounts do: what rests, what is used of their limits, and which credentials are left alone."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.show_accounts(client, as_json=as_json))


@click.command(epilog=EXAMPLES + "banjia grants zhipu-1 --billed 1200000 --adopt")
@click.argument("name", required=False)
@click.option("--billed", type=click.IntRange(0), help="Tokens that the vendor has counted since the grant NAME was given.")
@click.option("--adopt", is_flag=True, help="Let the vendor's count hold from now on.")
@json_option
@gateway_options
def grants(name: str | None, billed: int | None, adopt: bool, as_json: bool, url: str, admin_key: str) -> None:
    """Show what is left of the tokens that vendors have given, and for how long it will last.

    With NAME and --billed: compare what was counted with the vendor's bill. Exit code 1 if they differ and nothing is adopted.
    """
    from gateway import admin_reports

    if (name is None) != (billed is None) or (adopt and name is None):
        raise click.UsageError("a bill needs both NAME and --billed")
    with asking(url, admin_key) as client:
        if name is None or billed is None:
            sys.exit(admin_reports.show_grants(client, as_json=as_json))
        sys.exit(admin_reports.reconcile(client, name, billed, adopt=adopt, as_json=as_json))


@click.group()
def spaces() -> None:
    """List and reset the vector spaces that teams have begun in."""


@spaces.command("list", epilog=EXAMPLES + "banjia spaces list --team search")
@team_option
@json_option
@gateway_options
def list_spaces(team: str | None, as_json: bool, url: str, admin_key: str) -> None:
    """List which space each name of embeddings has begun in."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.list_spaces(client, team, as_json=as_json))


@spaces.command(epilog=EXAMPLES + "banjia spaces reset search text-embedding-3-small")
@click.argument("team")
@click.argument("name")
@json_option
@gateway_options
def reset(team: str, name: str, as_json: bool, url: str, admin_key: str) -> None:
    """Let NAME of TEAM begin anew, in whatever space serves it next. Its index has to be built anew as well."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.reset_space(client, team, name, as_json=as_json))


@click.group()
def audit() -> None:
    """Read the log of changes, and see that it is as it was written."""


@audit.command("list", epilog=EXAMPLES + "banjia audit list --after 100")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Entries after the one of this number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="So many at most.")
@json_option
@gateway_options
def list_entries(after: int, limit: int, as_json: bool, url: str, admin_key: str) -> None:
    """Show what was changed, when and by whom."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.show_audit(client, after, limit, as_json=as_json))


@audit.command(epilog=EXAMPLES + "banjia audit verify --head 4f0c…")
@click.option("--head", default="", help="What an earlier run has printed: it must still be there.")
@json_option
@gateway_options
def verify(head: str, as_json: bool, url: str, admin_key: str) -> None:
    """Compute every entry's hash again. Exit code 1 if one is not as it was written; it is told which."""
    from gateway import admin_reports

    with asking(url, admin_key) as client:
        sys.exit(admin_reports.verify_audit(client, head, as_json=as_json))


COMMANDS: tuple[click.Command, ...] = (keys, tokens, usage, teams, accounts, grants, spaces, audit)
