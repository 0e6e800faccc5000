"""The gateway without an account anywhere: vendors that have no credentials in the environment are answered by their simulators."""

import os
from collections.abc import Mapping
from secrets import token_urlsafe

from gateway.accounts import SECRETS
from gateway.catalog import shipped
from gateway.config import Settings, load_catalog, read
from gateway.simulate import ANY_KEY, DEMO_SECRETS
from gateway.yaml_file import Document, Problem, fill_references, load_yaml
from providers.load import load as load_adapters

KEY = "sk-demo"
TEAM = {
    "schema": "banjia/team.v1",
    "team": "demo",
    "keys": [{"name": "demo", "key": KEY}],
    "jurisdiction": "cn-mainland",
    "policy": {"allow": {"cn-mainland": ["cn-mainland", "on-premises"]}},
}


def demo_settings(simulators: str, environment: Mapping[str, str] = os.environ) -> tuple[Settings, list[str], str]:
    """(the shipped settings with a team `demo`, the accounts that are simulated, the admin key). `simulators`: their address."""
    document = load_yaml(shipped() / "gateway.yaml")
    problems: list[Problem] = fill_references(document, environment)
    simulated: list[str] = []
    for name, account in document.data["providers"].items():
        if all(not account.get(secret) for secret in SECRETS):
            simulated.append(name)
            vendor = account["vendor"]
            for secret in SECRETS:
                account.pop(secret, None)
            account |= {"base_url": f"{simulators}/{vendor}", **DEMO_SECRETS.get(vendor, ANY_KEY)}
    admin = token_urlsafe(24)
    document.data["admin"] = {"key": admin}
    document.data["storage"] = {"url": "sqlite:///var/demo.db"}
    document.data["files"] = {"url": "file:///var/demo.files"}
    team = Document("(demo)", TEAM, {})
    return read(document, [team], load_catalog(shipped() / "none", problems), problems, load_adapters()), simulated, admin
