"""OpenAI's own API. Whatever OpenAI takes goes through as it is, as far as the model that serves has it; see rules.py.

Facts from openai-python 3.54.0 and OpenAI's OpenAPI document 2.3.0, read 2026-11-23.
"""

from providers.auth import API_KEY
from providers.base import Adapter, Target
from providers.fields import served_model
from providers.openai.errors import ERRORS, fault_of
from providers.openai.media import media
from providers.openai.moderations import Moderations
from providers.openai.rules import VECTORS, Chat, Embeddings, Generations

GENERATIONS = Generations().under({"model": served_model})


def url(target: Target, path: str) -> str:
    return target.base_url + path


ADAPTER = Adapter(
    vendor="openai",
    surface="v1",
    base_url="https://api.openai.com/v1",
    auth={"api_key": API_KEY},
    endpoints={
        "chat": Chat(url=url, generations=lambda version: GENERATIONS, judge=fault_of, errors=ERRORS),
        "embeddings": Embeddings(fields={"model": served_model, **VECTORS}, url=url, judge=fault_of, errors=ERRORS),
        "moderations": Moderations(judge=fault_of),
        **media(url, fault_of, served_model),
    },
)
SURFACES = (ADAPTER,)
