"""What a client may read of a provider's words, and what not."""

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scrubbing import LONGEST_MESSAGE, scrub

HEX = "0123456789abcdef"
WORDS = st.lists(
    st.sampled_from(["the key", "无效", "is wrong:", "(see", "\n", "for model glm-5.2,", '"', "'", "=", "at 15:30:00"]), max_size=4
).map(" ".join)
TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=16, max_size=40)
LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
SECRETS = st.one_of(
    TOKEN.map("sk-{}".format),
    TOKEN.map("sk-proj-{}".format),
    TOKEN.map("fk{}".format),
    TOKEN.map("Bearer {}".format),
    TOKEN.map("bearer  {}".format),
    TOKEN.map("LTAI{}".format),
    st.tuples(TOKEN, TOKEN).map(lambda two: f"bce-v3/ALTAK-{two[0]}/{two[1]}"),
    st.tuples(TOKEN, TOKEN, TOKEN).map(lambda three: f"eyJ{three[0]}.eyJ{three[1]}.{three[2]}"),
    st.tuples(st.text(HEX, min_size=32, max_size=32), TOKEN).map(".".join),
    st.text(HEX, min_size=64, max_size=64),
    st.text(HEX, min_size=20, max_size=40).map("24.{}.2592000.1798000000.282335-1".format),
    TOKEN.map("bce-auth-v1/ALTAK{}/2026-11-23T08:00:00Z/1800/host/0123456789abcdef".format),
)
PLACES = st.one_of(
    st.tuples(LABEL, st.sampled_from(["https", "http", "redis", "postgresql+asyncpg"])).map(lambda two: f"{two[1]}://{two[0]}:8080/v1?x=1"),
    st.tuples(LABEL, st.sampled_from(["com", "cn", "baidubce.com", "svc.cluster.local", "internal", "aliyuncs.com"])).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.tuples(st.ip_addresses(v=4), st.integers(1, 65535)).map(lambda two: f"{two[0]}:{two[1]}"),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
)  # fmt: skip


@given(WORDS, SECRETS | PLACES, WORDS)
def test_no_secret_and_no_address_is_passed_on_wherever_it_stands(before: str, secret: str, after: str) -> None:
    scrubbed = scrub(f"{before} {secret} {after}")

    assert secret not in scrubbed
    assert not any(part in scrubbed for part in re.split(r"[/. ]", secret) if len(part) >= 16)
    assert "***" in scrubbed


@given(st.text(min_size=6, max_size=60).filter(lambda text: "*" not in text and text.strip() == text and text.isprintable()), WORDS)
def test_an_accounts_own_secret_is_never_passed_on_whatever_it_looks_like(secret: str, words: str) -> None:
    assert secret not in scrub(f"bad: {secret}{words}", [secret])


@given(st.text())
def test_whatever_is_said_is_printable_and_short(text: str) -> None:
    scrubbed = scrub(text * 20)

    assert len(scrubbed) <= LONGEST_MESSAGE
    assert all(char.isprintable() or char == "\n" for char in scrubbed)


@pytest.mark.parametrize("text", [
    "messages.content.type: 参数非法，取值范围 ('text', 'image')",
    "tools.function.name and input[0].value must be set",
    "Your limit will reset at 2026-11-23 15:30:00",
    "parameter.enable_thinking must be set to false for non-streaming calls",
    "Range of max_tokens should be [1, 8192], not max_tokens=1000000000",
    "The model `Qwen/Qwen3-32B-Instruct-2507-FP8` does not exist or you do not have access to it.",
    "deepseek-ai/DeepSeek-V3.2, glm-4.5v and ernie-4.5-turbo-20260402 at version 1.2.3",
    "Authorization: header missing; token is invalid",
    "request id: 4f0e7a10-aaaa-bbbb-cccc-0123456789ab",
    "最大 4096 个 token，错误码:336003",
    "a task-management disk-usage risk-free std::vector",
])  # fmt: skip
def test_what_helps_a_reader_stays(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize(("said", "passed_on"), [
    ("Incorrect API key provided: sk-abcde***wxyz. You can find yours at platform.openai.com/account/api-keys.",
     "Incorrect API key provided: *** You can find yours at ***"),
    ("密钥sk-abcdef123456无效", "密钥***无效"),
    ('{"access_token":"24.abcdef0123456789abcdef"}', '{"access_token":"***"}'),
    ("signature=AbC123%2Fdef&x=1 is wrong", "signature=***&x=1 is wrong"),
    ("bad. server string to sign is:POST\n/v1/chat\nx-date:1", "bad. server ***"),
    ("failed\nTraceback (most recent call last):\n  File x", "failed\n***"),
    ("\x1b[31mred\u202e \x00end", "[31mred  end"),
    ("connect to localhost:8080/v1 or 10.1.2.3:443 failed", "connect to *** or *** failed"),
])  # fmt: skip
def test_what_is_nobodys_business_goes(said: str, passed_on: str) -> None:
    assert scrub(said).replace("   ", "  ") == passed_on


def test_halves_and_escaped_forms_of_an_accounts_secret_go_too() -> None:
    assert scrub("of abcdefabcdef1 and s%2Fcr%40t", ["0123456789ab.abcdefabcdef1", "s/cr@t"]) == "of *** and ***"


@pytest.mark.parametrize(
    "piece", ["a.", "1:", "A", "sk-", "eyJ", "+/", "token=", "1.", "::1", "a-", "bearer ", "string to ", "2", "=", "token= "]
)
def test_no_text_takes_long(piece: str) -> None:
    began = process_time()

    scrub(piece * 100_000)

    assert process_time() - began < 0.5


@pytest.mark.parametrize("start", range(7_970, 8_002))
def test_a_secret_at_the_end_of_what_is_read_is_not_cut_into_something_harmless(start: int) -> None:
    before = "https://" + "a" * (start - 9)

    assert "secret" not in scrub(f"{before} sk-secret-secret-secret and more")
    assert "密" in scrub("密" * 9_000)
