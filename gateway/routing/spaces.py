"""What a route must declare of its vectors."""

from collections.abc import Mapping

from gateway.catalog import Catalog
from gateway.globs import matches
from gateway.settings import Account, Route
from gateway.space import same


def undeclared(name: str, route: Route, accounts: Mapping[str, Account], catalog: Catalog) -> str:
    """What is wrong with what a route says, or does not say, of its vectors' space; empty: nothing."""
    hops = [hop.use.partition("/")[::2] for hop in (*route.serve, *route.fallback)]
    models = sorted({same(name if model == "*" else model) for _, model in hops})
    if route.space is not None:
        if "*" in name and any(model == "*" for _, model in hops):
            return f"{name} with `account/*` is many models, whose vectors are not of one space: give each a route of its own"
        return f"vectors of different models are not of one space: {', '.join(models)}" if len(models) > 1 else ""
    stands_for = [known for known, _ in catalog.spaces.values() if matches(name, known)]
    for account, model in hops:
        others = [known for known in stands_for if model != "*" and same(model) != same(known)]
        vendor = accounts[account].vendor if account in accounts else ""
        if others and (name in others or catalog.facts(vendor, model).kind == "embedding"):
            return (
                f"vectors of {account}/{model} do not compare with those of OpenAI's {others[0]}: say which space they are in, "
                f"as in `space: {vendor or account}/{model}`, so that no index gets vectors of two"
            )
    return ""
