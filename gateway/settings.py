"""What the files say: gateway.yaml and teams/*.yaml, unknown keys refused. gateway/config.py reads them and checks them together.

Every model here is one block of a file; its fields are the block's keys.
"""

import re
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.units import Allowed, Bytes, Count, Seconds, Share
from gateway.wordlists import normal
from providers.moderation import CATEGORIES

FIRST_TOKEN = 60.0


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, use_attribute_docstrings=True)


def _http(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected an address such as https://api.example.com/v1")
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http)]
OwnUrl = Annotated[str, AfterValidator(lambda value: _http(value) if value else "")]
"""The same, or nothing: what stands for a resource that somebody may not have."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Place = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""A jurisdiction: cn-mainland, hk, on-premises, or any other name in small letters."""


class Server(Block):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    max_body: Bytes = 32 << 20
    """The largest request body."""
    max_in_flight: Annotated[int, Field(ge=1)] = 4000
    """Requests under way at once; more wait in the queue."""
    queue: Annotated[int | None, Field(ge=0)] = None
    """Requests that wait for their turn, at most: twice `max_in_flight` unless it says otherwise. More are answered 503."""
    queue_timeout: Seconds = 5.0
    """How long one of them waits; then it is answered 503."""
    head_timeout: Seconds = 10.0
    """How long a request's head may take to come in."""
    body_timeout: Seconds = 30.0
    """How long a request's body may make no progress."""
    write_timeout: Seconds = 60.0
    """How long a client may take nothing of its answer."""
    pre_stop: Seconds = 5.0
    """How long requests are still taken after SIGTERM."""
    drain: Seconds = 30.0
    """How long running answers may go on after that."""
    log: Literal["requests", "errors"] = "requests"
    """`requests`: a line of JSON for each; `errors`: only for those that fail."""


def _state(value: str) -> str:
    if urlsplit(value).scheme not in ("memory", "valkey", "valkeys", "redis", "rediss", "unix"):
        raise ValueError("expected memory://, or an address such as valkey://127.0.0.1:6379/0")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, ZoneInfoNotFoundError) as exc:
        raise ValueError(f"there is no time zone {value!r}; expected one such as Asia/Shanghai") from exc
    return value


def _store(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("sqlite", "postgresql", "postgres") or not rest or (scheme == "sqlite" and not re.fullmatch(r"/(?!:)[^?]+", rest)):
        raise ValueError("expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return value


class Storage(Block):
    url: Annotated[str, AfterValidator(_store)] = "sqlite:///var/banjia.db"
    """A file, `sqlite:///…` from the working directory or `sqlite:////…` from the root; or `postgresql://…`."""
    journal: str | None = None
    """The folder where usage waits while the database is lost: beside the file, or `var/usage.pending`, unless it says otherwise."""
    keep: Seconds = 90 * 86400.0
    """How long a request's own row is kept; its day's sums stay."""


def _place(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1 and not parts.query:
        return value
    if parts.scheme == "s3" and parts.hostname and set(parse_qs(parts.query)) <= {"endpoint", "region"}:
        return value
    raise ValueError("expected file:///FOLDER or s3://BUCKET/PREFIX?endpoint=https://…&region=…")


class Files(Block):
    url: Annotated[str, AfterValidator(_place)] = "file:///var/files"
    """A folder, `file:///…` from the working directory or `file:////…` from the root; or `s3://BUCKET/PREFIX?endpoint=…&region=…`."""
    key_id: str | None = None
    """Of the bucket: without it what the environment says counts, `AWS_ACCESS_KEY_ID` and so on."""
    secret: str | None = None
    max_file: Bytes = 512 << 20
    """The largest file."""
    max_files: Annotated[int, Field(ge=1)] = 10_000
    """Files of one team."""
    batch_lines: Annotated[int, Field(ge=1)] = 16
    """Lines of a batch that one replica has under way at once."""


class Responses(Block):
    """What is kept of `/v1/responses` and `/v1/conversations`."""

    keep: Seconds = 30 * 86400.0
    """How long a response is kept."""
    keep_conversations: Seconds = 365 * 86400.0
    """How long a conversation is kept after somebody has last added to it."""


class State(Block):
    url: Annotated[str, AfterValidator(_state)] = "memory://"
    """What limits, budgets and grants are counted in: `memory://` for one process, `valkey://HOST:PORT/0` for any number of them."""


WELL_KNOWN = ("changeme", "password", "letmein", "123456", "sk1234", "qwerty", "admin", "secret", "default", "master", "banjia", "test")
"""What people who guess keys begin with."""


def _guarded(value: str) -> str:
    rest = re.sub(r"[-_.\s]", "", value.lower())
    for word in WELL_KNOWN:
        rest = rest.replace(word, "")
    if len(set(rest)) < 6:
        raise ValueError("is too easy to guess: take 16 random characters or more, as `openssl rand -hex 24` prints")
    return value


OwnKey = Annotated[Annotated[str, Field(min_length=16), AfterValidator(_guarded)] | None, BeforeValidator(lambda value: value or None)]


class Admin(Block):
    key: OwnKey = None
    """What `/admin/v1` asks for, in `Authorization: Bearer`. Without one there is no admin API."""
    metrics_key: OwnKey = None
    """What `/metrics` asks for, beside the admin key."""


class Timeouts(Block):
    connect: Seconds = 5.0
    first_token: Seconds | None = None
    """From sending the request to the first word of the answer: 60s for streams. A plain answer comes in one piece and may take its
    `total`, unless this is set."""
    idle: Seconds = 60.0
    """Between two events of a stream."""
    total: Seconds = 600.0
    """Of the whole call, retries and fallbacks included."""

    def first(self, *, stream: bool) -> float:
        if self.first_token is not None:
            return self.first_token
        return FIRST_TOKEN if stream else self.total


class Retry(Block):
    max: Annotated[int, Field(ge=0, le=10)] = 2
    """Attempts on one hop = 1 + max."""
    retry_after_cap: Seconds = 30.0
    """The longest `Retry-After` of a provider that is waited for."""
    only_if_failed_within: Seconds | None = None
    """Retry only an attempt that failed this soon."""


class Breaker(Block):
    """An account's model that fails again and again is passed over for a while, if another hop may serve."""

    failures: Annotated[int, Field(ge=1)] = 5
    """In a row."""
    cooldown: Seconds = 30.0
    """After that, one request at a time tries it again."""


class Credential(Block):
    """A further credential of an account: the same secrets as the account's own."""

    api_key: str | None = None
    access_key_id: str | None = None
    access_key_secret: str | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class AccountLimits(Block):
    """What an account may be sent. A hop that has reached one is passed over."""

    rpm: Annotated[Count, Field(ge=1)] | None = None
    """Requests a minute."""
    tpm: Annotated[Count, Field(ge=1)] | None = None
    """Tokens a minute, of prompts and answers: reckoned before, counted after."""
    concurrent: Annotated[int, Field(ge=1)] | None = None
    """Requests at once."""


class Account(Block):
    """One account with a vendor."""

    vendor: str
    jurisdiction: Place
    """The place where data sent to it goes."""
    surface: str | None = None
    """Which of the vendor's APIs; README.md lists them."""
    auth: str | None = None
    """Which way of proving the account, where there are several for the same secrets."""
    base_url: OwnUrl | None = None
    """Where it listens, if not at the vendor's own address. Empty: at that; or the account is off, where every account has its own."""
    auth_url: HttpUrl | None = None
    """Where it issues tokens, if not at the vendor's own address."""
    api_key: str | None = None
    access_key_id: str | None = None
    access_key_secret: str | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    credentials: list[Credential] = []
    """Further ones, which take turns with the one above. One that is refused is left alone for a while."""
    api_version: str | None = None
    """Of the vendor's API, where it has several; it may decide on the surface."""
    deployments: dict[str, Annotated[str, Field(min_length=1)]] | None = None
    """The account's own names, by model, where the vendor has such."""
    bucket: HttpUrl | None = None
    """Of the vendor's object store, as https://bj.bcebos.com/NAME, where it reads data sets for tuning from there."""
    timeouts: Timeouts | None = None
    limits: AccountLimits | None = None
    """What it may be sent."""
    proxy: HttpUrl | None = None
    headers: dict[str, str] = {}
    """Sent with every request to it."""


class When(Block):
    """Facts of a request that a hop is meant for. A list means any of them."""

    jurisdiction: Place | list[Place] | None = None
    stream: bool | None = None
    tools: bool | None = None
    images: bool | None = None
    endpoint: Literal["chat", "embeddings", "images", "image_edits", "speech", "transcriptions", "moderations", "rerank"] | None = None


class Hop(Block):
    use: Annotated[str, Field(pattern=r"^[^/\s]+/\S+$")]
    """`account/model`; `account/*` passes the client's model name through."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    when: When | None = None
    prefer: bool = False
    """Goes before those without it, where its `when` holds."""


def _hops(value: Any) -> Any:
    value = value if isinstance(value, list) else [value]
    return [{"use": item} if isinstance(item, str) else item for item in value]


Hops = Annotated[list[Hop], BeforeValidator(_hops, json_schema_input_type=str | list[str | Hop])]


class StreamOptions(Block):
    on_cut: Literal["error", "continue"] = "error"
    """What becomes of an answer that breaks off: an error, or the rest of it from a hop that can go on with it."""


class Route(Block):
    """What serves a model name."""

    serve: Hops = []
    pick: Annotated[Literal["weighted", "ordered", "cheapest", "fastest", "grants_first"], Field(default="weighted")]
    sticky: bool = False
    """Keep a conversation with one hop of `serve`, which keeps the provider's prompt cache warm: requests of the same
    `prompt_cache_key`, or of the same `user`, go to the same hop as long as that is well."""
    fallback: Hops = []
    """In order, when none of `serve` answers."""
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    stream: StreamOptions | None = None
    space: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:-]{0,127}$")] | None = None
    """Of embeddings, the vector space that all its hops share. Without it, each model's own; a name of OpenAI's that another model serves
    needs one."""
    on_disconnect: Literal["cancel", "drain"] = "cancel"
    """What becomes of an answer whose client has left: the provider is told at once, or it is read to its end, so that its exact usage is
    known."""
    hedge: Seconds | None = None
    """Ask the next hop as well when the first has not begun to answer after this long; whoever begins first serves. Both are paid."""
    defaults: dict[str, Any] | None = None
    """Fields of a request for those that leave them out. Without it, the catalog's for the name; {} for none."""
    reject: str | None = None
    """Refuse the name, with these words; {model} stands for it."""

    @model_validator(mode="after")
    def _one_way(self) -> "Route":
        if self.sticky and self.pick != "weighted":
            raise ValueError(f"sticky: goes with pick: weighted, not with {self.pick}")
        if (self.reject is None) == (not self.serve):
            raise ValueError("a model needs either `serve` or `reject`")
        if self.serve and not any(hop.weight for hop in self.serve):
            raise ValueError("no hop of `serve` has a weight above 0")
        return self


def _route(value: Any) -> Any:
    return {"serve": value} if isinstance(value, str | list) else value


Routes = dict[str, Annotated[Route, BeforeValidator(_route, json_schema_input_type=str | list[str] | Route)]]


class Defaults(Block):
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()


class Grant(Block):
    """Tokens that a vendor has given."""

    name: Name | None = None
    """What is used of it is known by this name: the account's with the grant's number, unless it says otherwise."""
    account: str
    tokens: Annotated[Count, Field(ge=1)]
    models: list[str] = ["*"]
    """By the provider's name; `*` stands for any text."""
    kinds: Literal["all", "prompt", "completion"] = "all"
    """Which tokens it pays for."""
    expires: AwareDatetime
    """With its zone."""
    reserve: Share = 0.0
    """The part that is not used, for what the vendor may count more."""


def _words(value: Any) -> Any:
    """Words of a list, and lines of texts, as files are: without blank ones, and those that begin with #."""
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("expected words, or file:PATH of a file with a word in each line")
    words = [word.strip() for text in texts for word in text.splitlines()]
    return [word for word in words if normal(word) and not word.startswith("#")]


def _category(value: str) -> str:
    if value not in CATEGORIES:
        raise ValueError(f"there is no category {value!r}; there are: {', '.join(CATEGORIES)}")
    return value


Words = Annotated[list[str], BeforeValidator(_words, json_schema_input_type=str | list[str])]


class Moderation(Block):
    """What `POST /v1/moderations` finds without a provider."""

    lists: dict[Annotated[str, AfterValidator(_category)], Words] = {}
    """By OpenAI's category: words, or `file:PATH` of a file with one in each line."""


class GatewayFile(Block):
    """gateway.yaml"""

    schema_: Annotated[Literal["banjia/v1"], Field(alias="schema")]
    server: Server = Server()
    storage: Storage = Storage()
    files: Files = Files()
    responses: Responses = Responses()
    state: State = State()
    admin: Admin = Admin()
    providers: Annotated[dict[Name, Account], Field(min_length=1)]
    """Accounts, by a name of your own."""
    grants: list[Grant] = []
    defaults: Defaults = Defaults()
    models: Routes = {}
    """What serves a model name for every team; a team's own entry replaces the whole entry."""
    moderation: Moderation = Moderation()
    """Word lists for every team."""


class Limits(Block):
    """How much may be asked for."""

    rpm: Annotated[Count, Field(ge=1)] | None = None
    """Requests a minute."""
    tpm: Annotated[Count, Field(ge=1)] | None = None
    """Tokens a minute, of prompts and answers: reckoned before, counted after."""
    concurrent: Annotated[int, Field(ge=1)] | None = None
    """Requests at once."""


class Budget(Block):
    """How much may be spent."""

    amount: Allowed
    """Of money, `3000 CNY`, or of tokens, `50M tokens`."""
    per: Literal["day", "month", "total"]
    warn: list[Share] = [0.8, 0.95]
    """The log says when so much of it is used."""
    zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    """Where its days and months begin."""


Budgets = Annotated[
    list[Budget], BeforeValidator(lambda value: value if isinstance(value, list) else [value], json_schema_input_type=Budget | list[Budget])
]


class PerUser(Block):
    """What holds for each `user` that a team's requests name."""

    limits: Limits = Limits()
    budget: Budgets = []


class Key(Block):
    name: Name
    key: Annotated[str, Field(min_length=6)]
    jurisdiction: Place | None = None
    limits: Limits = Limits()
    budget: Budgets = []
    models: Routes = {}


class Waiver(Block):
    """Lets models serve that are not filed, for some time."""

    model: Annotated[str, Field(pattern=r"^[^/\s]+/\S+$")]
    """`account/model`; `*` stands for any text."""
    until: date
    """The last day, in China's time."""
    reason: Annotated[str, Field(min_length=3)]
    """For those who read the file later."""


class Policy(Block):
    allow: dict[Place, list[Place]] | None = None
    """Caller's place → places its data may go; what is not listed is refused. Without it: the caller's own place and on-premises."""
    filed_models_only: bool = False
    """Use only models of which catalog/filings has a filing, on every hop."""
    exceptions: list[Waiver] = []
    """Models that are used though they are not filed."""
    on_refusal: Literal["stop"] | Hops = "stop"
    """Where a request goes whose content a provider has refused: nowhere, or to these hops in their order."""
    show_route: bool = False
    """Answers tell in `x-banjia-route` which hops might have served, and why others might not."""
    fidelity: Literal["report", "strict"] = "report"
    """`strict`: 400 naming the field, instead of dropping, clamping or emulating it."""


class TeamResponses(Block):
    """What a team may have kept of `/v1/responses` and `/v1/conversations`."""

    store: bool = True
    """`false`: nothing that it asks or is answered there is kept."""
    background: Annotated[int, Field(ge=0)] = 1000
    """Responses in the background that have not ended, at most; more are answered 429."""


class TeamFile(Block):
    """teams/*.yaml"""

    schema_: Annotated[Literal["banjia/team.v1"], Field(alias="schema")]
    team: Name
    keys: list[Key] = []
    jurisdiction: Place = "cn-mainland"
    """Where its callers are, unless the key says otherwise."""
    policy: Policy = Policy()
    limits: Limits = Limits()
    budget: Budgets = []
    per_user: PerUser = PerUser()
    usage: Literal["best_effort", "required"] = "best_effort"
    """`required`: no request is served while its usage cannot be written to the database."""
    responses: TeamResponses = TeamResponses()
    models: Routes = {}
    moderation: Moderation = Moderation()
    """Word lists of its own, on top of those of gateway.yaml."""
