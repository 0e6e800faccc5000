"""The data sets that teams have uploaded, as the runner of tuning jobs reads them."""

from typing import TYPE_CHECKING

from gateway.api.files import read_file
from gateway.api.wire import Refusal
from gateway.store.errors import StoreLost
from gateway.tuning.lines import Unfit

if TYPE_CHECKING:
    from gateway.api.serving import Serving

LARGEST = 200 << 20
"""Bytes of a data set: it is checked, and said again, in memory."""


async def data_of(serving: "Serving", team: str, id: str) -> bytes | None:
    """The bytes of a team's file; None if it is not there. Raises Unfit for one that is too large, StoreLost where it cannot be had."""
    data = bytearray()
    try:
        async for piece in read_file(serving, team, id):
            data += piece
            if len(data) > LARGEST:
                raise Unfit(f"The file {id} is larger than {LARGEST >> 20} MiB")
    except Refusal as refusal:
        if refusal.status == 404:
            return None
        raise StoreLost(str(refusal)) from refusal
    return bytes(data)
