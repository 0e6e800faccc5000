"""What the service runs on: the settings compiled to look-ups. Frozen, and swapped as one reference; live state is kept elsewhere."""

from collections.abc import Iterable, Mapping
from datetime import date
from hashlib import sha256
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gateway.accounting.admission import Bounds, Holder
from gateway.accounting.grants import Grant
from gateway.accounting.limits import TOKENS
from gateway.accounting.prices import Rates
from gateway.catalog import Catalog
from gateway.globs import Globs
from gateway.headers import header_text
from gateway.settings import AccountLimits, Block, Breaker, Retry, Timeouts, When
from gateway.space import space_of
from gateway.wordlists import WordLists
from providers.base import Adapter, Auth, Model, Target, Translator

NOBODY = Holder("")
NO_WORDS = WordLists({})
ENDPOINTS_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "chat": ("chat",),
    "embedding": ("embeddings",),
    "image": ("images", "image_edits"),
    "speech": ("speech",),
    "transcription": ("transcriptions",),
    "moderation": ("moderations",),
    "rerank": ("rerank",),
}
"""What a model of a kind may be asked for."""


class Account(Struct, frozen=True):
    """One account with a vendor, ready to be used."""

    name: str
    vendor: str
    jurisdiction: str
    adapter: Adapter
    base_url: str
    auth: Auth
    secrets: Mapping[str, str]
    off: str = ""
    """Why it is switched off, if it is."""
    headers: Mapping[str, str] = {}
    proxy: str | None = None
    timeouts: Timeouts | None = None
    version: str = ""
    """Of the vendor's API."""
    spare: tuple[Mapping[str, str], ...] = ()
    """Secrets of further credentials, which take turns with the first."""
    limits: AccountLimits | None = None
    deployments: Mapping[str, str] = {}
    """Its own names, by model; a model without one goes by the model's."""
    bucket: str = ""
    """The address of one in the vendor's object store, for data sets."""

    @property
    def secret_words(self) -> tuple[str, ...]:
        """What must not be seen in any message."""
        return tuple(word for secrets in (self.secrets, *self.spare) for word in secrets.values())


class Hop(Struct, frozen=True):
    """One account and model that may serve a request, with everything an attempt needs."""

    account: Account
    translator: Translator
    target: Target
    timeouts: Timeouts
    retry: Retry
    breaker: Breaker
    name: str
    """account/model"""
    defaults: Mapping[str, Any] = {}
    """Fields that a request gets where the client leaves them out."""
    goes_on: bool = False
    """A stream that breaks off is gone on with, where that can be."""
    drains: bool = False
    """What a client has left is still read to its end."""
    hedge: float | None = None
    """Seconds without a first word after which the next hop is asked as well."""
    timed: bool = False
    """Its pace is measured, since the route picks the fastest."""
    space: str = ""
    """Of its vectors, where it makes some."""
    rates: Rates | None = None
    """What it costs, where that is known."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """By which answers tell that it has served."""


class Candidate(Struct, frozen=True):
    """A hop that a route names, before any request's facts are looked at."""

    account: str
    model: str
    """`*`: the name the client asked for."""
    weight: float = 1.0
    when: When | None = None
    prefer: bool = False
    group: str = ""
    """Of candidates with the same group, the first that can serve a request stands for all."""


class Route(Struct, frozen=True):
    """What serves a model name."""

    pattern: str
    origin: str
    """Where it was said: the file's place, or the catalog."""
    serve: tuple[Candidate, ...] = ()
    fallback: tuple[Candidate, ...] = ()
    pick: str = "weighted"
    sticky: bool = False
    """A conversation stays with one hop."""
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    reject: str = ""
    defaults: Mapping[str, Any] | None = None
    """Fields for requests that leave them out; None: those of the name that is asked for."""
    goes_on: bool = False
    """A stream that breaks off is gone on with, where that can be."""
    drains: bool = False
    """What a client has left is still read to its end."""
    hedge: float | None = None
    space: str = ""
    """Of all its hops' vectors; empty: each model's own."""


class Waiver(Struct, frozen=True):
    """Lets models serve that are not filed."""

    model: str
    """account/model, perhaps with `*`."""
    until: date
    """The last day."""
    reason: str


class Keeping(Struct, frozen=True):
    """What a team may have kept of the Responses API."""

    store: bool = True
    background: int = 1000
    """Responses in the background that have not ended, at most."""


class Lifetimes(Struct, frozen=True):
    """Seconds for which things are kept."""

    responses: float
    conversations: float
    """Since somebody has last added to it."""


class Key(Struct, frozen=True):
    """A team's key, and what holds for those who come with it."""

    team: str
    name: str
    jurisdiction: str
    permitted: frozenset[str]
    """Places their data may go."""
    strict: bool
    """Refuse a request rather than change it."""
    levels: tuple[Globs[Route], ...]
    """Route tables, the first of them that knows a name decides."""
    filed_only: bool = False
    """Only models with a filing."""
    waivers: tuple[Waiver, ...] = ()
    on_refusal: tuple[Candidate, ...] = ()
    """Where a request may go whose content a provider has refused."""
    show_route: bool = False
    """Answers tell their plan."""
    bounds: Bounds | None = None
    """What its requests are counted against."""
    currencies: frozenset[str] = frozenset()
    """Of the budgets among these."""
    required: bool = False
    """Not served while usage cannot be written."""
    keeping: Keeping = Keeping()


class Team(Struct, frozen=True):
    """What holds for all keys of a team, those of its file and those made since."""

    name: str
    jurisdiction: str
    """Where its callers are, unless a key says otherwise."""
    allow: Mapping[str, frozenset[str]] | None
    strict: bool
    levels: tuple[Globs[Route], ...]
    filed_only: bool
    waivers: tuple[Waiver, ...]
    on_refusal: tuple[Candidate, ...]
    show_route: bool
    holder: Holder = NOBODY
    """Its limits and budgets."""
    each_user: Holder = NOBODY
    """Those of each user that its requests name."""
    required: bool = False
    """Not served while usage cannot be written."""
    words: WordLists = NO_WORDS
    """What its texts are moderated by."""
    keeping: Keeping = Keeping()

    def key(self, name: str, jurisdiction: str = "", own: tuple[Globs[Route], ...] = (), holder: Holder = NOBODY) -> Key:
        """A key of the team, of callers in a place of their own if it is given; `own`: routes for it alone; `holder`: its own limits."""
        place = jurisdiction or self.jurisdiction
        holders = [one for one in (self.holder, holder) if one.bounds]
        users = self.each_user if self.each_user.bounds else None
        budgets = [budget for one in (*holders, self.each_user) for budget in one.budgets]
        return Key(
            self.name,
            name,
            place,
            may_go(self.allow, place),
            self.strict,
            (*own, *self.levels),
            self.filed_only,
            self.waivers,
            self.on_refusal,
            self.show_route,
            Bounds(holders, users) if holders or users else None,
            frozenset(budget.unit for budget in budgets if budget.unit != TOKENS),
            self.required,
            self.keeping,
        )


def may_go(allow: Mapping[str, Iterable[str]] | None, place: str) -> frozenset[str]:
    """Places that the data of callers in `place` may go."""
    return frozenset({place, "on-premises"} if allow is None else allow.get(place, ()))


class Snapshot(Struct, frozen=True):
    revision: str
    """A digest of what the files say."""
    accounts: Mapping[str, Account]
    teams: Mapping[str, Team]
    keys: Mapping[bytes, Key]
    """Those of the files, by digest of the key."""
    catalog: Catalog
    max_body: int
    grants: tuple[Grant, ...]
    body_timeout: float
    max_in_flight: int
    queue: int
    queue_timeout: float
    timeouts: Timeouts
    retry: Retry
    breaker: Breaker
    made: float
    """By the wall clock."""
    lifetimes: Lifetimes
    routes_seen: dict[tuple[str, str, tuple[Globs[Route], ...], str, str], Any] = {}
    """Memo of `plan.resolve`, bounded; it dies with the snapshot."""

    def hop(self, account: Account, model_id: str, endpoint: str, route: Route, asked: str = "") -> Hop:
        """`asked`: the name the client says, which may have defaults of its own."""
        defaults = route.defaults if route.defaults is not None else self.catalog.defaults.find(asked) or {}
        return Hop(
            account,
            account.adapter.endpoints[endpoint],
            Target(account.base_url, named(account, self.catalog.facts(account.vendor, model_id)), account.version),
            over(over(self.timeouts, account.timeouts), route.timeouts),
            over(self.retry, route.retry),
            self.breaker,
            f"{account.name}/{model_id}",
            defaults if endpoint == "chat" else {},
            route.goes_on,
            route.drains,
            route.hedge,
            route.pick == "fastest",
            self.space(route, account, model_id) if endpoint == "embeddings" else "",
            self.catalog.rates(account.vendor, model_id),
            ((b"x-banjia-provider", account.name.encode()), (b"x-banjia-model", header_text(model_id))),
        )

    def space(self, route: Route, account: Account, model_id: str) -> str:
        """Of the vectors that the model makes under that route."""
        return space_of(route.space, account.vendor, model_id, original=self.catalog.spaces.find(model_id) is not None)


B = TypeVar("B", bound=Block)


def over(base: B, own: B | None) -> B:
    """A block with what another says over it; what the other leaves out stays."""
    return base if own is None else base.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def digest(key: str) -> bytes:
    """What a key is looked up by: a table of keys is then worth nothing to a thief, and the look-up takes the same time for all."""
    return sha256(key.encode()).digest()


def serves(account: Account, model: Model) -> bool:
    """Whether the account's surface has the model, as far as the catalog knows."""
    return not model.surfaces or account.adapter.surface in model.surfaces


def own_models(account: Account, catalog: Catalog) -> list[str]:
    """The models that an account has: those it has deployed, if it says; else those of its vendor. None for one that is switched off."""
    if account.off or (account.adapter.deployers and not account.deployments):
        return []
    facts = [catalog.facts(account.vendor, name) for name in account.deployments or catalog.models.get(account.vendor, {})]
    offered = account.adapter.endpoints.keys()
    return [model.id for model in facts if serves(account, model) and not offered.isdisjoint(ENDPOINTS_OF_KIND[model.kind])]


def named(account: Account, model: Model) -> Model:
    """The model with the name it goes by at the account."""
    own = account.deployments.get(model.id)
    return replace(model, endpoint=own) if own else model


def full_base(base_url: str, own: str) -> str:
    """An account's address with the vendor's own path on it.

    A base may be given whole (`…/zhipu/api/paas/v4`) or only as far as the host or a prefix (`https://proxy/zhipu`): what it lacks of the
    vendor's path `own` is added. A base that ends in a version (`…/v4`) is taken to be whole.
    """
    base, path = base_url.rstrip("/"), own.rstrip("/")
    for length in range(len(path), 0, -1):
        if base.endswith(path[:length]) and (length == len(path) or path[length] == "/"):
            return base + path[length:]
    last = base.rpartition("/")[2]
    return base if last[:1] == "v" and last[1:].isdigit() else base + path
