"""OpenAI's side of moderation: scores by the words of UNSAFE_INPUT and UNSAFE_OUTPUT. See simulator.py."""

from typing import Any

from providers.base import Json, Model
from providers.openai.simulator_values import bad
from providers.simulation import UNSAFE_INPUT, UNSAFE_OUTPUT, End, World

MODERATIONS = frozenset({"model", "input"})
NAMES = (
    "harassment harassment/threatening hate hate/threatening illicit illicit/violent self-harm self-harm/instructions self-harm/intent "
    "sexual sexual/minors violence violence/graphic"
).split()
SEEN = {"self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic"}
"""What is looked for in images too."""


def moderate(world: World, account: str, model: Model, body: Json, number: int) -> Json:
    """The reply. Raises Refusal."""
    given: Any = body.get("input")
    if given is None:
        raise bad("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    if isinstance(given, str):
        inputs = [([given], False)]
    elif isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        inputs = [([one], False) for one in given]
    elif isinstance(given, list) and given and all(isinstance(one, dict) for one in given):
        inputs = [parts(given, model)]
    else:
        raise bad("Invalid type for 'input': expected a string, or an array of strings or of objects.", "input", "invalid_type")
    world.charge("openai", account, model.id, End("stop", 0, 0))
    return {"id": f"modr-{number:024x}", "model": model.id, "results": [scored(texts, image=image) for texts, image in inputs]}


def parts(given: list[Json], model: Model) -> tuple[list[str], bool]:
    texts = [part.get("text") for part in given if part.get("type") == "text"]
    images = [part.get("image_url") for part in given if part.get("type") == "image_url"]
    if len(texts) + len(images) != len(given) or not all(isinstance(text, str) for text in texts):
        raise bad("Invalid value for 'input': parts are of type text or image_url.", "input", "invalid_value")
    if len(images) > 1 or (images and "image" not in model.input):
        raise bad("Invalid 'input': at most one image is taken, by omni-moderation models.", "input", "invalid_value")
    if not all(isinstance(image, dict) and isinstance(image.get("url"), str) for image in images):
        raise bad("Missing required parameter: 'input[].image_url.url'.", "input", "missing_required_parameter")
    return [*map(str, texts)], bool(images)


def scored(texts: list[str], *, image: bool) -> Json:
    text = "\n".join(texts)
    scores = dict.fromkeys(NAMES, 0.0001)
    if UNSAFE_INPUT in text:
        scores["violence"] = 0.97
    if UNSAFE_OUTPUT in text:
        scores["harassment"] = 0.61
    kinds = {name: ["image"] * (image and name in SEEN) + ["text"] * bool(texts) for name in NAMES}
    categories = {name: score > 0.5 for name, score in scores.items()}
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": kinds,
    }
