"""What may stand in a header."""

from urllib.parse import quote


def header_text(text: str) -> bytes:
    """Text that cannot break a header: what is not plain ASCII is percent-encoded."""
    if text.isascii() and text.isprintable():
        return text.encode()[:4096]
    return quote(text, safe=" /:;,=[]()+@*").encode()[:4096]
