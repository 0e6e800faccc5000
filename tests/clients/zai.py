"""Zhipu's current SDK (zai-sdk), unchanged, against the simulator. Reads a question as JSON, prints answers as JSON."""

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from importlib import import_module
from typing import Any

NAME = sys.argv[1] if len(sys.argv) > 1 else "zai"
CLIENT = {"zai": "ZhipuAiClient", "zhipuai": "ZhipuAI"}[NAME]
sdk: Any = import_module(NAME)
errors: Any = import_module(f"{NAME}.core")
Json = dict[str, Any]


def main() -> None:
    question = json.load(sys.stdin)

    def client(key: str) -> Any:
        return getattr(sdk, CLIENT)(api_key=key, base_url=f"{question['url']}/zhipu/api/paas/v4", max_retries=0)

    ours = client("id.secret")
    if "file" in question:
        print(json.dumps(tuned(ours, question)))  # noqa: T201
        return
    if "media" in question:
        print(json.dumps(media(ours, question["media"])))  # noqa: T201
        return
    vectors = ours.embeddings.create(**question["embeddings"])
    told = {
        "chats": {name: {"plain": plain(ours, body), "stream": stream(ours, body)} for name, body in question["chats"].items()},
        "embeddings": [item.embedding[:4] for item in vectors.data],
        "embedding_tokens": vectors.usage.prompt_tokens,
        "errors": {name: refused(client(case["key"]).chat.completions.create, **case["body"]) for name, case in question["errors"].items()},
    }
    print(json.dumps(told))  # noqa: T201


def tuned(client: Any, question: Json) -> Json:
    """A model tuned and asked."""
    with open(question["file"], "rb") as data:
        file = client.files.create(file=data, purpose="fine-tune").id
    jobs = client.fine_tuning.jobs
    job = jobs.create(model=question["base"], training_file=file, hyperparameters={"n_epochs": 2}).id
    states = [jobs.retrieve(job).status for _ in range(4)]
    done = jobs.retrieve(job)
    return {
        "listed": [one.id for one in jobs.list().data].count(job),
        "states": states,
        "events": [one.message for one in jobs.list_events(job).data],
        "said": plain(client, {"model": done.fine_tuned_model, "messages": [{"role": "user", "content": "Say: hello"}]})["text"],
    }


def media(client: Any, asked: Json) -> Json:
    """Images, at once and as a task, speech, whole and streamed, and a transcript."""
    task = client.images.async_generations(**asked["task"])
    while (found := client.images.retrieve_images_result(task.id)).task_status == "PROCESSING":
        pass
    sound = client.audio.speech(**asked["speech"], response_format="wav")
    pieces = [
        choice.delta.content
        for chunk in client.audio.speech(**asked["speech"], response_format="pcm", stream=True)
        for choice in chunk.choices
        if choice.delta.content
    ]
    told = client.audio.transcriptions.create(**asked["transcription"], file=("a.wav", sound.content, "audio/wav"))
    return {
        "image": client.images.generations(**asked["image"]).data[0].url,
        "task": [found.task_status, found.image_result[0].url],
        "sound": b64encode(sound.content).decode(),
        "pieces": b64encode(b"".join(b64decode(piece) for piece in pieces)).decode(),
        "heard": told.text,
    }


def plain(client: Any, body: Json) -> Json:
    answer = client.chat.completions.create(**body)
    (choice,) = answer.choices
    return {
        "text": choice.message.content or "",
        "thought": getattr(choice.message, "reasoning_content", None) or "",
        "calls": [[call.function.name, call.function.arguments] for call in choice.message.tool_calls or ()],
        "finish": choice.finish_reason,
        "tokens": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
    }


def stream(client: Any, body: Json) -> Json:
    told: Json = {"text": "", "thought": "", "calls": [], "finish": None, "tokens": None}
    for chunk in client.chat.completions.create(**body, stream=True):
        told["tokens"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens] if chunk.usage else told["tokens"]
        for choice in chunk.choices:
            told["text"] += choice.delta.content or ""
            told["thought"] += getattr(choice.delta, "reasoning_content", None) or ""
            told["finish"] = choice.finish_reason or told["finish"]
            told["calls"] += [[call.function.name, call.function.arguments] for call in choice.delta.tool_calls or ()]
    return told


def refused(call: Callable[..., Any], **body: Any) -> Json:
    try:
        return {"answer": repr(call(**body))}
    except errors.APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "message": str(error)}


main()
