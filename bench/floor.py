"""The floor: the least that is usual on uvicorn and a session of aiohttp. Bare ASGI: a model renamed, body and reply passed on."""

import sys
from typing import Any

import aiohttp
import msgspec
import uvicorn

decode = msgspec.json.Decoder(dict).decode
encode = msgspec.json.Encoder().encode
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream")]


class Floor:
    def __init__(self, upstream: str) -> None:
        self.url = f"{upstream}/chat/completions"
        self.session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self.session is None:
            self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())
        body = b""
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        asked = decode(body)
        asked["model"] = "constant"
        headers = {"content-type": "application/json", "authorization": "Bearer k"}
        async with self.session.post(self.url, data=encode(asked), headers=headers) as reply:
            if asked.get("stream"):
                await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
                async for piece in reply.content.iter_any():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                answer = await reply.read()
                await send({"type": "http.response.start", "status": 200, "headers": [*JSON, (b"content-length", b"%d" % len(answer))]})
                await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(Floor(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", access_log=False, log_level="error")
