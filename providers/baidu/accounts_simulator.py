"""Who may call Baidu: keys, signatures, and the tokens that IAM and OAuth give for them. Facts from the SDK and its mock server."""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from msgspec import Struct

from providers.base import Json
from providers.simulation import Reply, Request, World, json_reply, trouble

SIGNED = re.compile(r"bce-auth-v1/([^/]+)/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/(\d{1,9})/([^/]*)/([0-9a-f]{64})")
SIGNED_UNLESS_TOLD = ("host", "content-md5", "content-length", "content-type")
KEY = re.compile(r"bce-v3/(ALTAK-[A-Za-z0-9_-]+)/[0-9A-Fa-f]+")
LONGEST_LIFE = 30 * 86400


class Denied(Exception):
    """A signature that is not taken: Baidu's common code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def reply(self) -> Reply:
        told = {"X-Bce-Error-Code": self.code, "X-Bce-Error-Message": self.message}
        return json_reply(403, {"requestId": "5f0c2a51-simulated", "code": self.code, "message": self.message}, told)


class Issued(Struct, frozen=True):
    account: str
    ends: float


class Accounts:
    """Access keys are World.accounts; an API key is an account of its own. An access key that has a trouble by its name proves itself in
    any way it likes, and learns of the trouble when its token is used."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bearers: dict[str, Issued] = {}
        self.access_tokens: dict[str, Issued] = {}

    # ---- proofs ----

    def by_bearer(self, header: str) -> str | None:
        """The account behind an `Authorization` header of v2; None for nobody."""
        key = header.removeprefix("Bearer ")
        if key in self.bearers:
            return self.valid(self.bearers[key])
        found = KEY.fullmatch(key)
        return found[1] if found else None

    def by_signature(self, request: Request) -> str:
        """The access key that signed a request. Raises Denied."""
        found = SIGNED.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise Denied("AccessDenied", "Access denied, cause: no signature of bce-auth-v1.")
        key_id, made, life, names, signature = found.groups()
        if trouble(key_id) not in (None, "invalid"):
            return key_id
        secret = self.world.accounts.get(key_id)
        if secret is None:
            raise Denied("InvalidAccessKeyId", "NotFound, cause: Could not find credential.")
        signed = names.split(";") if names else [n for n in request.headers if n in SIGNED_UNLESS_TOLD or n.startswith("x-bce-")]
        prefix = f"bce-auth-v1/{key_id}/{made}/{life}"
        key = hmac.digest(secret.encode(), prefix.encode(), "sha256").hex()
        paths = (request.host + request.path, request.path)  # the SDK signs the vendor's own path, whatever host it is sent to
        rights = [hmac.digest(key.encode(), canonical(request, path, signed).encode(), "sha256").hex() for path in paths]
        if "host" not in signed or not any(hmac.compare_digest(right, signature) for right in rights):
            raise Denied("SignatureDoesNotMatch", "SignatureDoesNotMatch, cause: Fail to authn user: Signature does not match")
        if moment(made) + int(life) < self.world.now():
            raise Denied("RequestExpired", "RequestExpired, cause: Fail to authn user: Request has expired")
        return key_id

    def by_access_token(self, token: str) -> str | None:
        """The account behind a token of OAuth that is still good; None for nobody."""
        return self.valid(self.access_tokens[token]) if token in self.access_tokens else None

    def valid(self, issued: Issued) -> str | None:
        return issued.account if issued.ends > self.world.now() else None

    # ---- tokens ----

    def iam(self, request: Request) -> Reply:
        """GET /v1/BCE-BEARER/token: HTTP 201."""
        try:
            account = self.by_signature(request)
        except Denied as denied:
            return denied.reply
        asked = request.query.get("expireInSeconds", "3600")
        if not re.fullmatch(r"\d{1,8}", asked) or not 0 < int(asked) <= LONGEST_LIFE:
            return json_reply(400, {"requestId": "5f0c2a51-simulated", "code": "InvalidParameter", "message": "expireInSeconds is invalid"})
        now = self.world.now()
        mark = self.mark(account, len(self.bearers))
        token = f"bce-v3/ALTAK-{mark[:21]}/{mark[21:61]}"
        self.bearers[token] = Issued(account, now + int(asked))
        told = {"userId": sha256(account.encode()).hexdigest()[:32], "token": token, "status": "enable"}
        return json_reply(201, {**told, "createTime": stamp(now), "expireTime": stamp(now + int(asked))})

    def oauth(self, query: Mapping[str, str]) -> Reply:
        """POST /oauth/2.0/token: a token of thirty days."""
        account = query.get("client_id", "")
        known = self.world.accounts.get(account)
        if query.get("grant_type") != "client_credentials":
            return json_reply(
                400, {"error": "unsupported_grant_type", "error_description": "The authorization grant type is not supported"}
            )
        if trouble(account) in (None, "invalid"):
            if known is None:
                return json_reply(401, {"error": "invalid_client", "error_description": "unknown client id"})
            if not hmac.compare_digest(known.encode(), query.get("client_secret", "").encode()):
                return json_reply(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
        life, mark = 2592000, self.mark(account, len(self.access_tokens))
        token = f"24.{mark[:32]}.{life}.{int(self.world.now()) + life}.282335-{int(mark[32:38], 16)}"
        self.access_tokens[token] = Issued(account, self.world.now() + life)
        session = {"session_key": mark[:24], "session_secret": mark[24:56], "scope": "public ai_custom_yiyan_com brain_all_scope"}
        return json_reply(200, {"access_token": token, "refresh_token": f"25.{mark[32:]}", "expires_in": life, **session})

    def mark(self, account: str, number: int) -> str:
        """Text that no one can guess who does not know the account's secret."""
        return hmac.digest(self.world.accounts.get(account, "").encode(), f"{account}/{number}/{self.world.now()}".encode(), "sha256").hex()


def canonical(request: Request, path: str, signed: list[str]) -> str:
    """What a signature is over."""
    query = sorted(f"{escape(name)}={escape(value)}" for name, value in request.query.items() if name.lower() != "authorization")
    headers = {name: request.headers.get(name, "").strip() for name in signed}
    told = sorted(f"{escape(name.lower())}:{escape(value)}" for name, value in headers.items() if value)
    return "\n".join((request.method, quote(path, safe="/-_.~"), "&".join(query), "\n".join(told)))


def escape(text: str) -> str:
    return quote(text, safe="-_.~")


def moment(text: str) -> float:
    """Unix time; 0 for a day that is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def stamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(time * 1000) % 1000:03d}Z"


def services(world: World) -> Json:
    """POST /wenxinworkshop/service/list: what the SDK learns the paths of the older API from."""
    kinds = {"chat": "chat", "embedding": "embeddings"}
    base = "https://aip.baidubce.com/rpc/2.0/ai_custom/v1/wenxinworkshop"
    common = [
        {
            "name": model.id,
            "url": f"{base}/{kinds[model.kind]}/{model.endpoint}",
            "apiType": kinds[model.kind],
            "chargeStatus": "OPENED",
            "versionList": [{"trainType": model.id, "serviceStatus": "Done"}],
        }
        for model in world.models.values()
        if model.endpoint and model.kind in kinds
    ]
    return {"log_id": "1795400102", "result": {"common": common, "custom": []}}
