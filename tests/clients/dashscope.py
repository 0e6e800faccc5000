"""Alibaba's SDK (dashscope), unchanged, against the simulator's native surface. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from base64 import b64encode
from importlib import import_module
from typing import Any

sdk: Any = import_module("dashscope")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)
    sdk.base_http_api_url = f"{question['url']}/alibaba/api/v1"
    sdk.api_key = question["key"]
    if "rerank" in question:
        print(json.dumps(tuned(question)))  # noqa: T201
        return
    if "media" in question:
        print(json.dumps(media(question["media"])))  # noqa: T201
        return
    vectors = sdk.TextEmbedding.call(**question["embeddings"])
    told = {
        "chats": {
            name: {"plain": plain(body), "stream": stream(body), "whole": repeated(body)} for name, body in question["chats"].items()
        },
        "seen": sdk.MultiModalConversation.call(**question["image"]).output.choices[0].message.content,
        "embeddings": [item["embedding"][:4] for item in vectors.output["embeddings"]],
        "embedding_tokens": vectors.usage["total_tokens"],
        "errors": {name: refused(case) for name, case in question["errors"].items()},
    }
    print(json.dumps(told))  # noqa: T201


def tuned(question: Json) -> Json:
    """Documents ranked; then a model tuned, deployed and asked."""
    ranked = sdk.TextReRank.call(**question["rerank"])
    refused = sdk.TextReRank.call(**{**question["rerank"], "model": "no-such-model"})
    tuning: Any = import_module("dashscope.finetune.finetunes").FineTunes
    deployments: Any = import_module("dashscope.finetune.deployments").Deployments
    file = sdk.Files.upload(question["file"], purpose="fine_tune").output["uploaded_files"][0]["file_id"]
    job = tuning.call(question["base"], [file], mode="efficient_sft", hyper_parameters={"n_epochs": 2}).output.job_id
    states = [tuning.get(job).output.status for _ in range(3)]
    deployed = deployments.call(tuning.get(job).output.finetuned_output, 1).output.deployed_model
    standing = [deployments.get(deployed).output.status for _ in range(2)]
    said = sdk.Generation.call(model=deployed, messages=[{"role": "user", "content": "Say: hello"}], result_format="message")
    return {
        "ranked": [[one.index, one.relevance_score, one.get("document")] for one in ranked.output.results],
        "tokens": ranked.usage.total_tokens,
        "refused": [int(refused.status_code), refused.code],
        "listed": [one.job_id for one in tuning.list().output.jobs].count(job),
        "states": states,
        "standing": standing,
        "said": said.output.choices[0].message.content,
    }


def media(asked: Json) -> Json:
    """Images, as a task and at once, a task that is cancelled, speech, whole and streamed, and a transcript."""
    made = sdk.ImageSynthesis.call(**asked["task"])
    ended = sdk.ImageSynthesis.async_call(**asked["task"])
    cancelled = sdk.ImageSynthesis.cancel(ended)
    speak = import_module("dashscope.audio.http_tts.http_speech_synthesizer").HttpSpeechSynthesizer.call
    *pieces, last = [one.audio_data for one in speak(**asked["speech"], audio_format="pcm", stream=True) if one.audio_data]
    parts = [{"audio": asked["sound"]}]
    told = sdk.MultiModalConversation.call(
        model=asked["hears"], messages=[{"role": "user", "content": parts}], asr_options={"language": "en"}
    )
    return {
        "task": [made.output.task_status, made.output.results[0].url, made.usage.image_count],
        "cancelled": [int(cancelled.status_code), sdk.ImageSynthesis.fetch(ended).output.task_status],
        "spoken": speak(**asked["speech"], audio_format="wav").audio_url,
        "pieces": b64encode(b"".join(pieces)).decode(),
        "last": b64encode(last).decode(),  # which the SDK makes of all of them
        "tts": sdk.MultiModalConversation.call(**asked["tts"]).output.audio["url"],
        "heard": told.output.choices[0].message.content[0]["text"],
    }


def plain(body: Json) -> Json:
    return read(sdk.Generation.call(**body, result_format="message"))


def read(answer: Any) -> Json:
    (choice,) = answer.output.choices
    return {
        "text": choice.message.content or "",
        "calls": [[call["function"]["name"], call["function"]["arguments"]] for call in choice.message.get("tool_calls") or ()],
        "finish": choice.finish_reason,
        "tokens": [answer.usage.input_tokens, answer.usage.output_tokens],
    }


def repeated(body: Json) -> Json:
    """A stream that says everything again with each event: the last one has all."""
    *_, last = sdk.Generation.call(**body, result_format="message", stream=True)
    return read(last)


def stream(body: Json) -> Json:
    told: Json = {"text": "", "calls": [], "finish": None, "tokens": None}
    for event in sdk.Generation.call(**body, result_format="message", stream=True, incremental_output=True):
        (choice,) = event.output.choices
        told["text"] += choice.message.content or ""
        told["tokens"] = [event.usage.input_tokens, event.usage.output_tokens]
        told["finish"] = choice.finish_reason if choice.finish_reason != "null" else told["finish"]
        for part in choice.message.get("tool_calls") or ():
            if part["index"] == len(told["calls"]):
                told["calls"].append(["", ""])
            told["calls"][part["index"]][0] += part["function"].get("name") or ""
            told["calls"][part["index"]][1] += part["function"].get("arguments") or ""
    return told


def refused(case: Json) -> Json:
    """This SDK raises nothing for an answer that is an error: it says so in the answer."""
    answer = sdk.Generation.call(api_key=case["key"], **case["body"])
    return {"status": int(answer.status_code), "code": answer.code, "message": answer.message}


main()
