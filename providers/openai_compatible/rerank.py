"""Reranking by servers of OpenAI's format: a server of unknown make, to which everything goes through, vLLM, SGLang and llama.cpp.

Facts from the sources of vLLM 0.33.0, SGLang 0.5.23 and llama.cpp (tools/server), and Jina's API reference, read 2026-11-23. Ollama
has none.
"""

from collections.abc import Mapping

from providers.base import Fault, Json
from providers.fields import Fields, all_dropped, all_native, kept_here, native, rename, served_model
from providers.openai_compatible.errors import ERRORS, LLAMA_CPP, PHRASES, SGLANG, VLLM, Phrases, fault_of
from providers.rerank import BASICS, CommonRerank, ranking, read_list


class ServerRerank(CommonRerank, frozen=True):
    phrases: Phrases = PHRASES["v1"]

    def response(self, body: bytes) -> Json:
        results = read_list(body)
        return super().response(body) if results is None else ranking(results, None)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        return fault_of(self.errors, self.phrases, status, headers, body)


PLAIN: Fields = {**BASICS, **all_dropped("not offered", "user")}
ANY = ServerRerank(fields={"model": served_model}, others=native, errors=ERRORS)
VLLM_RERANK = ServerRerank(
    fields={**PLAIN, **all_native("truncate_prompt_tokens", "max_tokens_per_doc", "priority")}, errors=VLLM, phrases=PHRASES["vllm"]
)
SGLANG_RERANK = ServerRerank(
    fields={**PLAIN, "model": kept_here, "instruct": native, "instruction": rename("instruct")}, errors=SGLANG, phrases=PHRASES["sglang"]
)
LLAMA_CPP_RERANK = ServerRerank(fields=PLAIN, errors=LLAMA_CPP, phrases=PHRASES["llama_cpp"])
