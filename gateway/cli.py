"""The `banjia` command. Each command is a few lines that call a function elsewhere; what a command needs is imported when it runs."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway import admin_commands
from gateway.terminal import EXAMPLES, PORT, fail

config_option = click.option(
    "--config", "directory", default="config", show_default=True, metavar="DIR", help="Folder with gateway.yaml and teams/.",
    type=click.Path(path_type=Path),
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="banjia")
def main() -> None:
    """Banjia (搬家): programs written for OpenAI, answered by the providers that may serve them."""


def settings_of(directory: Path) -> Any:
    from gateway.config import load
    from gateway.yaml_file import ConfigError

    try:
        return load(directory)
    except ConfigError as exc:
        fail(str(exc))


@main.command(epilog=EXAMPLES + "banjia serve --config config --port 8080")
@config_option
@click.option("--host", help="Address to listen on.  [default: the config's, 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any.  [default: the config's, 8080]")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--shared", is_flag=True, hidden=True, help="Others listen at the same address.")
def serve(directory: Path, host: str | None, port: int | None, workers: int, *, shared: bool) -> None:
    """Serve, by the files in DIR. They are read again when they change, and on SIGHUP."""
    from gateway import running
    from gateway.store.errors import StoreError

    settings = settings_of(directory)
    server = settings.gateway.server
    at = host or server.host, server.port if port is None else port
    if workers > 1 and settings.gateway.state.url.startswith("memory:"):
        fail("--workers: more than one needs state that they share, and state: memory:// is not shared; say state: {url: valkey://…}")
    try:
        if workers > 1:
            sys.exit(running.serve_with(workers, directory, *at))
        running.serve(settings, directory, *at, shared=shared)
    except (OSError, StoreError) as exc:
        fail(str(exc))


@main.command(epilog=EXAMPLES + "banjia demo --port 8080")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port to listen on, 0 for any.")
@click.option(
    "--brain", default="scripted", show_default=True, help="Where simulated words come from: scripted, local, or a URL ending in /v1."
)
def demo(host: str, port: int, brain: str) -> None:
    """Try the gateway without an account: vendors without credentials in the environment are simulated."""
    from gateway import running
    from gateway.yaml_file import ConfigError

    try:
        running.demo(host, port, brain)
    except (OSError, ImportError, ValueError, ConfigError) as exc:
        fail(str(exc))


@main.command(epilog=EXAMPLES + "banjia simulate --port 9090 --account zhipu:myid:mysecret")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True, help="Port to listen on, 0 for any.")
@click.option("--brain", default="scripted", show_default=True, help="Where the words come from: scripted, local, or a URL ending in /v1.")
@click.option("--account", "accounts", multiple=True, metavar="VENDOR:ID:SECRET", help="An account more. May be given several times.")
@click.option("--drip", is_flag=True, help="Send every byte of a reply on its own.")
def simulate(host: str, port: int, brain: str, accounts: tuple[str, ...], drip: bool) -> None:
    """Stand for the vendors: all their simulators on one port, each under its name."""
    from gateway import running
    from gateway.yaml_file import ConfigError

    try:
        running.simulate(host, port, brain, accounts, drip=drip)
    except (OSError, ImportError, ValueError, ConfigError) as exc:
        fail(str(exc))


@main.group()
def config() -> None:
    """Check, describe and show the configuration."""


@config.command(epilog=EXAMPLES + "banjia config check --config config")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Problems as JSON.")
def check(directory: Path, as_json: bool) -> None:
    """Tell every problem of the files in DIR, with file and line. Exit code 2 if there is one."""
    from gateway import reports

    sys.exit(reports.check(directory, as_json=as_json))


@config.command(epilog=EXAMPLES + "banjia config schema team > team.schema.json")
@click.argument("which", type=click.Choice(["gateway", "team"]), default="gateway")
def schema(which: str) -> None:
    """Print the JSON Schema of gateway.yaml, or of a team's file, for editors."""
    from gateway import reports

    click.echo(reports.schema(which))


@config.command(epilog=EXAMPLES + "banjia config show --config config")
@config_option
@click.option("--json", "as_json", is_flag=True, help="JSON rather than YAML.")
def show(directory: Path, as_json: bool) -> None:
    """Print the effective configuration, defaults included, secrets masked."""
    from gateway import reports

    click.echo(reports.show(settings_of(directory), as_json=as_json))


@main.command(epilog=EXAMPLES + "banjia explain --config config --team search --model gpt-4o --json request.json")
@config_option
@click.option("--team", help="Whose request it is.")
@click.option("--model", help="The model's name as the client says it.")
@click.option("--jurisdiction", help="Where the caller is.  [default: the team's]")
@click.option("--endpoint", type=click.Choice(["chat", "embeddings"]), default="chat", show_default=True)
@click.option("--json", "request", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE", help="The request's body.")
@click.option(
    "--replay", type=click.Path(path_type=Path, allow_dash=True), metavar="LOG", help="Make the plans of a log's lines again; - is stdin."
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def explain(
    directory: Path,
    team: str | None,
    model: str | None,
    jurisdiction: str | None,
    endpoint: str,
    request: Path | None,
    replay: Path | None,
    output: str,
) -> None:
    """Show which hops would serve a request, which may not and why, and what becomes of its fields. Sends nothing.

    With --replay: whether the plans in a log are those that the config makes. Exit code 1 if one is not.
    """
    from gateway import explaining, replaying

    if replay is None and (team is None or model is None):
        raise click.UsageError("it needs --team and --model, or --replay")
    settings = settings_of(directory)
    try:
        if replay is not None:
            sys.exit(replaying.show(replaying.replay(settings, replay), as_json=output == "json"))
        told = explaining.explain(
            settings, team=team or "", model=model or "", jurisdiction=jurisdiction, endpoint=endpoint, request=request
        )
    except ValueError as exc:
        fail(str(exc))
    explaining.show(told, as_json=output == "json")


@main.group()
def providers() -> None:
    """Look after the accounts of a running gateway."""


@providers.command(epilog=EXAMPLES + "BANJIA_ADMIN_KEY=… banjia providers test zhipu --url http://127.0.0.1:8080")
@click.argument("accounts", nargs=-1)
@click.option("--url", default=f"http://127.0.0.1:{PORT}", show_default=True, envvar="BANJIA_URL", show_envvar=True, help="The gateway.")
@click.option("--admin-key", envvar="BANJIA_ADMIN_KEY", required=True, show_envvar=True, help="Its admin key.")
@click.option("--json", "as_json", is_flag=True, help="Results as JSON.")
def test(accounts: tuple[str, ...], url: str, admin_key: str, as_json: bool) -> None:
    """Send a short question through each account, or through ACCOUNTS. Exit code 1 if one does not answer."""
    from gateway import admin_client

    try:
        sys.exit(admin_client.test_accounts(url, admin_key, accounts, as_json=as_json))
    except admin_client.AdminError as exc:
        fail(str(exc))


for command in admin_commands.COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()
