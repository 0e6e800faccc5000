"""What routing looks at in a request."""

from collections.abc import Mapping
from hashlib import sha256

from msgspec import Struct

from providers.base import Json

CONVERSATION = ("prompt_cache_key", "user", "safety_identifier")
"""Fields that tell whose conversation a request belongs to, the first that is there."""


class Facts(Struct, frozen=True, omit_defaults=True):
    """A request as routing sees it; none of its words are in it."""

    endpoint: str
    model: str
    stream: bool = False
    tools: bool = False
    images: bool = False
    audio: bool = False
    dimensions: int = 0
    size: int = 0
    """Bytes of the request, which it has no more tokens than."""
    output: int = 0
    """Tokens of the answer that are asked for at most; 0: as many as it takes."""
    tokens: Mapping[str, int] = {}
    """Of the prompt, by tokenizer, where they had to be counted."""
    space: str = ""
    """Of embeddings: the vector space that they are to be in, where hops of several might serve."""
    conversation: str = ""
    """A digest of what a conversation is known by, where a route keeps conversations together."""

    def plain(self) -> bool:
        """Whether nothing in it could be more than some model can take, its size and its answer's aside."""
        return not (self.images or self.audio or self.dimensions or self.tools or self.space)


def facts_of(endpoint: str, body: Json, size: int = 0) -> Facts:
    """The facts of a request that has been checked."""
    kinds: set[str] = set()
    for message in body.get("messages") or ():
        content = message.get("content")
        if content.__class__ is list:
            kinds |= {part["type"] for part in content}
    return Facts(
        endpoint,
        body["model"],
        bool(body.get("stream")),
        bool(body.get("tools")),
        "image_url" in kinds,
        "input_audio" in kinds,
        body.get("dimensions") or 0,
        size,
        body.get("max_completion_tokens") or body.get("max_tokens") or 0,
    )


def conversation_of(team: str, body: Json) -> str:
    """What the conversation of a team's request is known by: 16 signs; nothing where the request does not say."""
    said: str = next(filter(None, map(body.get, CONVERSATION)), "")
    return sha256(f"{team}\0{said}".encode(errors="surrogatepass")).hexdigest()[:16] if said else ""
