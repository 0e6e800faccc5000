"""Images by OpenAI's own SDK over sockets: made and edited at every vendor that has them, in both forms, with what is refused and what it
costs."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from providers.media_simulation import png, png_size
from tests.conftest import TEAM, Served
from tests.gateway.api.media.conftest import PNG, config
from tests.gateway.provider import Make, Provider, Step, answer

Gateway = Callable[..., Served]
MAKERS = ["cogview", "glm-image", "wan", "qwen-image", "irag", "u1", "gpt-image", "azure-image"]
EDITORS = ["wan-edit", "qwen-edit", "irag-edit", "u1", "gpt-image", "azure-image"]


@pytest.mark.parametrize("model", MAKERS)
def test_every_maker_gives_an_image_of_the_size_that_was_asked_for_as_data(client: OpenAI, model: str) -> None:
    told = client.images.generate(model=model, prompt="a red bridge", size="1024x1024", response_format="b64_json")

    (image,) = told.data or []
    assert image.url is None
    assert png_size(b64decode(image.b64_json or "")) == (1024, 1024)
    assert told.created > 1_700_000_000


@pytest.mark.parametrize("model", MAKERS)
def test_every_maker_gives_an_address(client: OpenAI, served: Served, model: str) -> None:
    (image,) = client.images.generate(model=model, prompt="a red bridge", response_format="url").data or []

    assert image.b64_json is None
    if (image.url or "").startswith("data:image/png;base64,"):
        assert png_size(b64decode((image.url or "").partition(",")[2]))
        assert "response_format=emulated:data URL" in served.record().changes
    else:
        assert png_size(served.client.get(image.url or "", headers={"authorization": ""}).content or b"") is None  # it takes no credential


@pytest.mark.parametrize("model", EDITORS)
def test_every_editor_edits(client: OpenAI, served: Served, model: str) -> None:
    told = client.images.edit(model=model, image=[PNG, PNG], prompt="make it blue", response_format="b64_json")

    (image,) = told.data or []
    assert png_size(b64decode(image.b64_json or ""))
    assert served.record().usage["images"] == 1


@pytest.mark.parametrize("model", EDITORS)
def test_an_image_without_a_name_and_a_type_is_edited_too(client: OpenAI, model: str) -> None:
    assert client.images.edit(model=model, image=PNG[1], prompt="make it blue").data


@pytest.mark.parametrize(("model", "calls"), [("cogview", 3), ("wan", 1), ("irag", 1), ("qwen-image", 3)])
def test_several_images_are_several_calls_where_one_gives_one(client: OpenAI, served: Served, model: str, calls: int) -> None:
    told = client.images.generate(model=model, prompt="a red bridge", n=3)

    assert len(told.data or ()) == 3
    record = served.record()
    assert record.usage == {"images": 3}
    assert ("n=emulated:3 calls" in record.changes) == (calls > 1)


def test_tokens_are_told_where_a_vendor_counts_them(client: OpenAI, served: Served) -> None:
    told = client.images.generate(model="gpt-image", prompt="a red bridge")

    assert told.usage is not None
    assert (told.usage.output_tokens, told.quality, told.output_format) == (272, "high", "png")
    record = served.record()
    assert record.usage == {"images": 1, "prompt_tokens": told.usage.input_tokens, "completion_tokens": 272}
    assert record.changes == ""


@pytest.mark.parametrize(("model", "kind"), [("cogview", "image_generation.completed"), ("gpt-image", "image_generation.completed")])
def test_a_stream_tells_each_image_when_it_is_whole(client: OpenAI, model: str, kind: str) -> None:
    with client.images.generate(model=model, prompt="a red bridge", stream=True, partial_images=2) as stream:
        events = list(stream)

    assert [event.type for event in events] == [kind]
    assert png_size(b64decode(events[0].b64_json))


def test_an_edit_is_streamed_in_its_own_words(client: OpenAI) -> None:
    with client.images.edit(model="gpt-image", image=PNG, prompt="make it blue", stream=True) as stream:
        assert [event.type for event in stream] == ["image_edit.completed"]


def test_what_becomes_of_the_fields_is_told(client: OpenAI, served: Served) -> None:
    client.images.generate(model="cogview", prompt="a bridge", size="256x256", quality="high", style="vivid", user="ann", background="auto")

    assert served.record().changes == "quality=clamped:hd,size=clamped:1024x1024,style=dropped,user=renamed:user_id"


def test_a_budget_is_not_overdrawn_by_images(gateway: Gateway, simulators: str) -> None:
    served = gateway(config(simulators), {**TEAM, "budget": {"amount": "0.10 CNY", "per": "month"}})

    replies = [served.client.post("/v1/images/generations", json={"model": "cogview", "prompt": "a"}) for _ in "ab"]

    assert [reply.status_code for reply in replies] == [200, 429]
    assert replies[1].json()["error"]["code"] == "insufficient_quota"


def test_a_large_image_is_not_taken_for_tokens(gateway: Gateway, simulators: str) -> None:
    served = gateway(config(simulators), {**TEAM, "limits": {"tpm": 1000}})
    large = ("a.png", PNG[1] + bytes(1 << 20), "image/png")

    assert served.client.post("/v1/images/edits", files={"image": large}, data={"model": "u1", "prompt": "a"}).status_code == 200


def test_a_strict_team_gets_nothing_else_than_it_asked_for(gateway: Gateway, simulators: str) -> None:
    served = gateway(config(simulators), {**TEAM, "policy": {"fidelity": "strict"}})

    reply = served.client.post("/v1/images/generations", json={"model": "cogview", "prompt": "a", "style": "vivid"})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "style")


@pytest.mark.parametrize("name", ["dall-e-3", "dall-e-2", "gpt-image-1", ""])
def test_openais_names_are_served_by_what_stands_in_for_them(gateway: Gateway, simulators: str, name: str) -> None:
    served = gateway({"providers": {"b": config(simulators)["providers"]["b"]}})

    made = served.client.post("/v1/images/generations", json={"prompt": "a", **({"model": name} if name else {})})
    edited = served.client.post("/v1/images/edits", files={"image": PNG}, data={"prompt": "a", "model": name or "dall-e-2"})

    assert (made.headers["x-banjia-model"], edited.headers["x-banjia-model"]) == ("irag-1.0", "ernie-irag-edit")
    assert ("b64_json" in made.json()["data"][0]) == name.startswith("gpt-image")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"), ({"prompt": ""}, "prompt"), ({"prompt": 5}, "prompt"), ({"prompt": "a" * 32_001}, "prompt"),
        ({"n": 0}, "n"), ({"n": 11}, "n"), ({"n": "2"}, "n"), ({"size": 5}, "size"), ({"size": "large"}, "size"),
        ({"quality": "best"}, "quality"), ({"response_format": "png"}, "response_format"), ({"partial_images": 4}, "partial_images"),
        ({"output_format": "gif"}, "output_format"), ({"stream": "yes"}, "stream"),
    ],
    ids=str,
)  # fmt: skip
def test_a_request_of_no_known_form_is_refused_by_name(served: Served, fields: dict[str, Any], param: str) -> None:
    reply = served.client.post("/v1/images/generations", json={"model": "cogview", "prompt": "a bridge", **fields})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("model", ["cogview", "wan", "qwen-image", "irag", "u1", "gpt-image"])
def test_what_may_not_be_asked_is_told_in_openais_words(client: OpenAI, model: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.images.generate(model=model, prompt="a bridge [unsafe-input]")

    assert refused.value.code == "content_filter"


def test_a_task_whose_image_was_stopped_is_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.images.generate(model="wan", prompt="a bridge [unsafe-output]")

    assert refused.value.code == "content_filter"


@pytest.mark.parametrize("model", ["chat", "glm-tts", "irag-edit"])
def test_a_model_that_makes_no_images_is_not_asked_to(client: OpenAI, model: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        client.images.generate(model=model, prompt="a bridge")

    assert refused.value.code == "model_not_found"


def test_what_is_no_image_is_not_edited(served: Served) -> None:
    reply = served.client.post("/v1/images/edits", files={"image": ("a.png", b"words")}, data={"prompt": "a", "model": "u1"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_image_format")


def test_azures_clients_name_the_deployment_in_the_path(served: Served) -> None:
    made = served.client.post("/openai/deployments/cogview/images/generations?api-version=2025-04-01-preview", json={"prompt": "a"})
    edited = served.client.post("/openai/deployments/u1/images/edits?api-version=x", files={"image": PNG}, data={"prompt": "a"})

    assert (made.status_code, edited.status_code) == (200, 200)


@pytest.mark.parametrize(
    "found",
    [{}, {"data": []}, {"data": [{}]}, {"data": [{"url": 5}]}, {"data": "x"}, {"data": [{"url": "http://169.254.169.254/latest"}]},
     {"data": [{"url": "https://127.0.0.1/a.png"}]}, {"data": [{"url": "file:///etc/passwd"}]}, {"data": [{"b64_json": 5}]}],
    ids=str,
)  # fmt: skip
def test_an_answer_that_leads_to_no_image_is_a_failure_of_the_providers(gateway: Gateway, provider: Make, found: Any) -> None:
    one = provider(answer(200, found))
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": one.url, "api_key": "id.secret"}
    served = gateway({"providers": {"z": account}, "models": {"m": {"serve": ["z/cogview-4"], "retry": {"max": 0}}}})

    reply = served.client.post("/v1/images/generations", json={"model": "m", "prompt": "a", "response_format": "b64_json"})

    assert (reply.status_code, reply.json()["error"]["type"]) == (502, "api_error")


def before_a_shelf(gateway: Gateway, provider: Make, *steps: Step, **more: Any) -> tuple[Served, Provider]:
    """A gateway before a provider that answers with an address of its own, and does `steps` where that is asked for."""
    shelf = provider(answer(200, {}))
    shelf.script(answer(200, {"data": [{"url": f"{shelf.url}/a.png"}]}), *steps)
    account = {"vendor": "zhipu", "jurisdiction": "cn-mainland", "base_url": shelf.url, "api_key": "id.secret", **more}
    return gateway({"providers": {"z": account}, "models": {"m": "z/cogview-4"}}), shelf


def test_an_image_is_fetched_from_the_accounts_own_host_without_its_key(gateway: Gateway, provider: Make) -> None:
    served, shelf = before_a_shelf(gateway, provider, answer(200, png("a", 8, 8)), headers={"x-mine": "secret"})

    reply = served.client.post("/v1/images/generations", json={"model": "m", "prompt": "a", "response_format": "b64_json"})

    assert reply.status_code == 200
    asked, fetched = shelf.requests
    assert asked.headers["x-mine"] == "secret"
    assert not {"authorization", "x-mine"} & fetched.headers.keys()


@pytest.mark.parametrize(
    "step",
    [(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",), answer(404, b"gone"), answer(200, b"<html>")],
    ids=["a redirect", "nothing", "no image"],
)
def test_what_an_address_leads_to_is_an_image_or_a_failure(gateway: Gateway, provider: Make, step: Step) -> None:
    served, shelf = before_a_shelf(gateway, provider, step)

    reply = served.client.post("/v1/images/generations", json={"model": "m", "prompt": "a", "response_format": "b64_json"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_broken")
    assert len(shelf.requests) == 2
    assert served.record().usage == {"images": 1}  # which has been made, and is paid for
