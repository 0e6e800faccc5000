"""Vector spaces: vectors compare with those of the same space alone. An index is of one, whatever name its vectors were asked for by."""

OWN = "own"
"""What a row of the catalog says where each model that stands in for a name has a space of its own."""


def same(model: str) -> str:
    """What two ids of the same model have in common: `BAAI/bge-m3` is `bge-m3`."""
    return model.rpartition("/")[2].lower()


def space_of(declared: str, vendor: str, model: str, *, original: bool) -> str:
    """The space of a model's vectors: the one that is declared, else its own. `original`: the model is OpenAI's, and is the same at every
    vendor that has it."""
    if declared and declared != OWN:
        return declared
    return model if original else f"{vendor}/{model}"
