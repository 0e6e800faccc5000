"""GET /metrics, for those who have a key to it."""

import hmac

from gateway.api.wire import Exchange, Refusal
from gateway.observe.metrics import CONTENT_TYPE, Metrics
from gateway.settings import Admin


class Scraped:
    """Asks for the admin key or the metrics key, as `Authorization: Bearer`. Without either in the config, the page is nobody's."""

    def __init__(self, metrics: Metrics, admin: Admin) -> None:
        self._metrics = metrics
        self._keys = [f"Bearer {key}".encode() for key in (admin.key, admin.metrics_key) if key]

    async def __call__(self, exchange: Exchange) -> None:
        exchange.body_read = True
        said = exchange.headers.get(b"authorization", b"")
        if not self._keys:
            message = "There are no metrics without a key to them: set admin.key, or admin.metrics_key."
            return await exchange.refuse(Refusal(404, message, code="unknown_url"))
        if not sum(hmac.compare_digest(said, key) for key in self._keys):
            message = "This is for the admin key or the metrics key, sent as `Authorization: Bearer KEY`."
            return await exchange.refuse(Refusal(401, message, code="invalid_api_key", headers=[(b"www-authenticate", b"Bearer")]))
        return await exchange.answer(200, await self._metrics.page(), kind=(b"content-type", CONTENT_TYPE))
