"""What every answer of the gateway has to be, whatever it was asked and whatever a provider said."""

import json
from array import array
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from providers.base import Json

INSIDES: dict[str, type] = {"annotations": list, "audio": dict}
"""What of a message is the provider's own but for its kind."""
KNOWN_FINISH = ("stop", "length", "tool_calls", "content_filter", "function_call")


def check_error(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """An error in OpenAI's form, and never the gateway's own failure."""
    assert status >= 400
    assert status != 500, body
    assert headers["x-request-id"]
    assert headers["content-type"] == "application/json"
    error_in(json.loads(body))


def error_in(told: Any) -> Json:
    error: Json = told["error"]
    assert told.keys() == {"error"}
    assert error.keys() == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert error["code"] != "internal_error"
    return error


def check_answer(raw: bytes) -> Json:
    """A whole answer that OpenAI's SDK takes. Reasons to finish that OpenAI does not know may be there, as strings."""
    answer: Json = json.loads(raw, parse_constant=_no_constant)
    ChatCompletion.model_validate(_checkable(answer))
    assert answer["choices"]
    assert counts(answer["usage"])
    return answer


def check_vectors(raw: bytes) -> Json:
    answer: Json = json.loads(raw, parse_constant=_no_constant)
    for item in answer["data"]:
        if isinstance(item["embedding"], str):
            item["embedding"] = array("f", b64decode(item["embedding"])).tolist()
    CreateEmbeddingResponse.model_validate(answer)
    assert len({len(item["embedding"]) for item in answer["data"]}) == 1
    return answer


def counts(usage: Json) -> bool:
    """Whether it is a sane number of tokens each."""
    told = [usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    details = {**usage["prompt_tokens_details"], **usage["completion_tokens_details"]}
    told += [number for name, number in details.items() if name.endswith("tokens") and number is not None]
    return all(isinstance(number, int) and 0 <= number < 2**53 for number in told)


def check_stream(raw: bytes, answers: int = 1) -> list[Json]:
    """A stream's events but for the `[DONE]`.

    It ends in that or in an error, never in both, and has a finish of all `answers` only with the former.
    """
    assert raw.endswith(b"\n\n"), raw[-200:]
    lines = raw.decode().split("\n\n")[:-1]
    assert all(line.startswith("data: ") and len(line.splitlines()) == 1 for line in lines), raw
    done = [number for number, line in enumerate(lines) if line == "data: [DONE]"]
    assert done in ([], [len(lines) - 1]), raw
    events = [json.loads(line[6:], parse_constant=_no_constant) for line in (lines[:-1] if done else lines)]
    failed = [number for number, event in enumerate(events) if "error" in event]
    assert failed == ([] if done else [len(events) - 1]), raw
    begun: set[int] = set()
    finished: set[int] = set()
    for event in events:
        if "error" in event:
            error_in(event)
            continue
        ChatCompletionChunk.model_validate(_checkable(event))
        if event.get("usage"):
            assert counts(event["usage"])
        for choice in event["choices"]:
            begun.add(choice["index"])
            if choice["finish_reason"] is not None:
                assert choice["index"] not in finished, raw
                finished.add(choice["index"])
    if done:
        assert begun == finished != set(), raw
    else:
        assert answers > 1 or begun != finished or not begun, raw
    return events


def _checkable(told: Json) -> Json:
    """An answer or chunk as the SDK's types will have it: words that OpenAI does not know, and what is in logprobs, are the provider's."""
    tier = told.get("service_tier")
    assert tier is None or isinstance(tier, str)
    return {**told, "service_tier": None, "choices": [_checkable_choice(choice) for choice in told["choices"]]}


def _checkable_choice(choice: Json) -> Json:
    reason, logprobs = choice["finish_reason"], choice["logprobs"]
    assert reason is None or (isinstance(reason, str) and reason)
    for name in ("content", "refusal"):
        assert all(isinstance(token, dict) for token in (logprobs or {}).get(name) or ())
    known = reason if reason is None or reason in KNOWN_FINISH else "stop"
    where = "message" if isinstance(choice.get("message"), dict) and "delta" not in choice else "delta"
    assert all(isinstance(choice[where].get(name, kind()), kind) for name, kind in INSIDES.items())
    said = {where: {name: value for name, value in choice[where].items() if name not in INSIDES}}
    return {**choice, **said, "finish_reason": known, "logprobs": None}


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")
