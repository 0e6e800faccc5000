"""SenseNova's three surfaces, and how an account proves itself on them. Facts from sensenova 1.0.6, read 2026-11-23."""

from collections.abc import Mapping

from providers.auth import API_KEY, jwt_hs256
from providers.base import Adapter, Auth, Credential, Exchange
from providers.sensetime import compatible, images, native, token_plan

TOKEN_LIFE = 1800
"""Seconds that a signed token is good for; the SDK's own figure."""
SKEW = 5
"""Seconds that the vendor's clock may be behind ours."""
RENEW = 0.8


def jwt(secrets: Mapping[str, str], now: float) -> Exchange:
    """A token signed with the account's secret; there is nobody to ask for one."""
    claims = {"iss": secrets["access_key_id"], "exp": int(now) + TOKEN_LIFE, "nbf": int(now) - SKEW}
    token = jwt_hs256(claims, secrets["access_key_secret"])
    return Credential({"authorization": f"Bearer {token}"}, renew=now + RENEW * TOKEN_LIFE)
    yield  # a generator with nothing to ask


SENSECORE_AUTH: Mapping[str, Auth] = {"jwt": Auth(("access_key_id", "access_key_secret"), jwt), "api_key": API_KEY}

NATIVE = Adapter(
    vendor="sensetime",
    surface="native",
    base_url="https://api.sensenova.cn/v1/llm",
    auth=SENSECORE_AUTH,
    endpoints={"chat": native.CHAT, "embeddings": native.EMBEDDINGS},
)
COMPATIBLE = Adapter(
    vendor="sensetime",
    surface="compatible",
    base_url="https://api.sensenova.cn/compatible-mode/v1",
    auth=SENSECORE_AUTH,
    endpoints={"chat": compatible.CHAT},
)
TOKEN_PLAN = Adapter(
    vendor="sensetime",
    surface="token_plan",
    base_url="https://token.sensenova.cn/v1",
    auth={"api_key": API_KEY},
    endpoints={"chat": token_plan.CHAT, "images": images.IMAGES, "image_edits": images.EDITS},
)
SURFACES = (NATIVE, COMPATIBLE, TOKEN_PLAN)
