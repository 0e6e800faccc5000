"""Forms with files, as simulators read them."""

import re

from providers.simulation import Request

BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
NAME, FILENAME = re.compile(rb'[; ]name="([^"]*)"'), re.compile(rb'filename="([^"]*)"')


def read_form(request: Request) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]] | None:
    """(fields, files by field, each with its name); None for what is no form."""
    kind = request.headers.get("content-type", "")
    found = BOUNDARY.search(kind)
    if not kind.startswith("multipart/form-data") or found is None:
        return None
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    mark = b"--" + found[1].encode()
    head, *parts = (b"\r\n" + request.body).split(b"\r\n" + mark)
    if head or not parts or not parts[-1].startswith(b"--"):
        return None
    for part in parts[:-1]:
        told, blank, data = part.partition(b"\r\n\r\n")
        name = NAME.search(told)
        if not blank or name is None:
            return None
        filename = FILENAME.search(told)
        if filename is None:
            fields[name[1].decode()] = data.decode()
        else:
            files[name[1].decode()] = (filename[1].decode(), data)
    return fields, files
