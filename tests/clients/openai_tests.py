"""The tests that OpenAI ships in the sdists of its Python SDK, unchanged, in an environment with any of its generations.

They are written for a server that takes every id and every value. So before a request is sent, what it asks for is made through the API,
and its id put in the place of theirs; and a value that no server should take (`limit=0`, a picture of the bytes "Example data") is sent as
it stands first, by itself, for the refusal to be seen, and then with one that is right, which is what the test goes on with.
"""

import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from hashlib import md5
from http.client import HTTPConnection
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import pytest

Json = dict[str, Any]
PLACEHOLDERS = (b"raw file contents", b"Example data")
"""The bytes of any file in these tests."""


class Making:
    """What a team makes by the API, with a client of its own."""

    def __init__(self, base_url: str, key: str, finished: str, tuned: list[str]) -> None:
        self.finished = finished
        """A job of tuning that is over."""
        self.tuned = tuned
        """Models that are there to be deleted."""
        parts = urlsplit(base_url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        self._path = parts.path
        self._key = f"Bearer {key}"
        self._kept: dict[str, Any] = {}

    def one(self, make: Callable[[], Any], *, lasting: bool) -> Any:
        """What `make` makes: the same each time if it is `lasting`, which it is for those that only look at it."""
        if not lasting:
            return make()
        if make.__name__ not in self._kept:
            self._kept[make.__name__] = make()
        return self._kept[make.__name__]

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Raises RuntimeError unless it is 200."""
        return self._done(method, path, json.dumps(body).encode() if body is not None else b"", "application/json")

    def form(self, path: str, name: str, data: bytes, **fields: str) -> Json:
        edge = "edge-of-a-part"
        parts = [f'--{edge}\r\ncontent-disposition: form-data; name="{n}"\r\n\r\n{value}\r\n'.encode() for n, value in fields.items()]
        head = f'--{edge}\r\ncontent-disposition: form-data; name="{name}"; filename="a.jsonl"\r\n\r\n'.encode()
        body = b"".join(parts) + head + data + f"\r\n--{edge}--\r\n".encode()
        return self._done("POST", path, body, f"multipart/form-data; boundary={edge}")

    def _done(self, method: str, path: str, body: bytes, form: str) -> Json:
        status, told = self.send(method, self._path + path, body, {"authorization": self._key, "content-type": form})
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {told}")
        return told

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, Json]:
        """(status, the body as JSON, or {} where it is none)."""
        self._connection.request(method, target, body, headers)
        reply = self._connection.getresponse()
        data = reply.read()
        try:
            told = json.loads(data)
        except ValueError:
            told = {}
        return reply.status, told

    def file(self, purpose: str = "assistants", data: bytes = b'{"foo": "bar"}') -> str:
        return str(self.form("/files", "file", data, purpose=purpose)["id"])

    def lines(self, endpoint: str) -> str:
        asked = {"input": "Hello"} if endpoint == "/v1/responses" else {"messages": [{"role": "user", "content": "Hello"}]}
        line = {"custom_id": "1", "method": "POST", "url": endpoint, "body": {"model": "gpt-4o", **asked}}
        return self.file("batch", json.dumps(line).encode())

    def examples(self) -> str:
        talk = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "Yes"}]
        return self.file("fine-tune", b"\n".join([json.dumps({"messages": talk}).encode()] * 10))

    def batch(self) -> str:
        body = {"input_file_id": self.lines("/v1/chat/completions"), "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return str(self.ask("POST", "/batches", body)["id"])

    def job(self) -> str:
        return str(self.ask("POST", "/fine_tuning/jobs", {"model": "gpt-4o-mini", "training_file": self.examples()})["id"])

    def response(self) -> str:
        return str(self.ask("POST", "/responses", {"model": "gpt-4o", "input": "Hello"})["id"])

    def running(self) -> str:
        return str(self.ask("POST", "/responses", {"model": "gpt-4o", "input": "Hello", "background": True})["id"])

    def conversation(self) -> tuple[str, str]:
        """Its id, and that of an item."""
        item = {"type": "message", "role": "user", "content": "Hello"}
        id = str(self.ask("POST", "/conversations", {"items": [item]})["id"])
        return id, str(self.ask("GET", f"/conversations/{id}/items")["data"][0]["id"])

    def upload(self) -> tuple[str, str]:
        """Its id, and that of a part."""
        told = {"bytes": len(PLACEHOLDERS[1]), "filename": "a.txt", "mime_type": "text/plain", "purpose": "assistants"}
        id = str(self.ask("POST", "/uploads", told)["id"])
        return id, str(self.form(f"/uploads/{id}/parts", "data", PLACEHOLDERS[1])["id"])


class Request:
    """A request of a test: where it goes, with which query and body."""

    def __init__(self, options: Any) -> None:
        self.method = str(options.method).upper()
        self.names = str(options.url).split("/")[1:]
        self.query: Json = dict(options.params or {})
        self.body: Json = dict(options.json_data or {})
        self.files: Any = options.files

    def put(self, options: Any) -> Any:
        """The SDK's options with what stands here."""
        told = {"url": "/" + "/".join(self.names), "params": {**self.query}, "files": self.files}
        return options.copy(update={**told, "json_data": {**self.body} or options.json_data})


def with_ids(request: Request, making: Making) -> None:
    """What the test asks for is made, and its ids put into the request."""
    names, body = request.names, request.body
    look = request.method == "GET" or names[-1] in ("pause", "resume")
    match [request.method, *names]:
        case ["POST", "batches"]:
            body["input_file_id"] = making.lines(body["endpoint"])
        case ["POST", "fine_tuning", "jobs"]:
            body |= {name: making.one(making.examples, lasting=True) for name in ("training_file", "validation_file") if name in body}
        case [_, "files", _, *_]:
            names[1] = making.one(making.file, lasting=look)
        case [_, "batches", _, *_]:
            names[1] = making.one(making.batch, lasting=look)
        case [_, "fine_tuning", "jobs", _, *_]:
            names[2] = making.finished if look else making.job()
        case [_, "uploads", _, *rest]:
            names[1], part = making.upload()
            body |= {"part_ids": [part]} if rest == ["complete"] else {}
        case [_, "conversations", _, *rest]:
            names[1], item = making.one(making.conversation, lasting=look)
            names[3:] = [item] if len(rest) == 2 else names[3:]
        case ["POST", "responses"] | ["POST", "responses", "input_tokens"]:
            made = {"conversation": lambda: making.conversation()[0], "previous_response_id": making.response}
            body |= {name: make() for name, make in made.items() if name in body}
        case [_, "responses", name, *rest] if name not in ("compact", "input_tokens"):
            names[1] = making.running() if rest == ["cancel"] else making.one(making.response, lasting=look)
        case ["DELETE", "models", _]:
            names[1] = making.tuned.pop()


def with_values(request: Request, question: Json) -> None:
    """Values that no server should take are replaced by some that are right."""
    query, body = request.query, request.body
    if query.get("limit") == 0:
        query["limit"] = 1
    if not query.get("stream"):
        query.pop("starting_after", None)
    if not body.get("stream"):
        body.pop("stream_options", None)
    for name, least in question["least"].items():
        if body.get(name) == 0:
            body[name] = least
    match request.names:
        case ["completions"]:
            body.pop("echo", None)
        case ["embeddings"]:
            body |= {"dimensions": 1024} if "dimensions" in body else {}
        case ["uploads", _, "complete"]:
            body |= {"md5": md5(PLACEHOLDERS[1], usedforsecurity=False).hexdigest()} if "md5" in body else {}
        case ["responses", "compact"]:
            body.pop("previous_response_id", None)
            body["input"] = [{"role": "assistant", "content": "Hello"}]  # what users say stays, and has no place in the SDK's type
        case ["responses"] | ["responses", "input_tokens"]:
            if "conversation" in body:
                body.pop("previous_response_id", None)
            body.pop("prompt", None)
            body |= {"model": body.get("model", "gpt-4o"), "input": body.get("input", "Hello")}
        case ["audio", "transcriptions"]:
            body.pop("timestamp_granularities", None)
    if request.files and request.names[0] in ("images", "audio"):
        given = bytes.fromhex(question["sound" if request.names[0] == "audio" else "picture"])
        files = request.files.items() if isinstance(request.files, dict) else request.files
        request.files = [(name, given if data in PLACEHOLDERS else data) for name, data in files]


class Judging:
    """A plugin of pytest: what becomes of each test, and what it was told of what it sent as it stands."""

    def __init__(self, making: Making, question: Json) -> None:
        self.told: dict[str, list[Json]] = {}
        self._making = making
        self._question = question
        self._asked = 0
        self._refused: list[Any] = []

    def sent(self, build: Any, client: Any, options: Any, **more: Any) -> Any:
        """In the place of the SDK's own making of a request out of options."""
        self._asked += 1
        request = Request(options)
        with_ids(request, self._making)
        options = request.put(options)
        before = (dict(request.query), dict(request.body), request.files)
        with_values(request, self._question)
        if (request.query, request.body, request.files) != before:
            whole = build(client, options, **more)
            target = whole.url.raw_path.decode()
            status, told = self._making.send(whole.method, target, whole.read(), dict(whole.headers))
            self._refused.append([status, told["error"]["code"] if "error" in told else ""])
        return build(client, request.put(options), **more)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The strict one of the ways in which each test is there, the loose one where it has to be; none that looks at the SDK alone."""
        items[:] = filter(self._is_run, items)

    def _is_run(self, item: pytest.Item) -> bool:
        loose = any(fnmatchcase(name_of(item), pattern) for pattern in self._question["loose"])
        if "::TestAsync" in item.nodeid and not self._question["asynchronous"]:
            return False
        return item.name.endswith("[loose]" if loose else "[strict]") and not item.name.startswith("test_path_params_")

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        """Some tests put a server of their own in the gateway's place: here they are not let."""
        if fixturedef.argname not in ("respx_mock", "respx2_mock"):
            return None
        fixturedef.cached_result = (Ignoring(), fixturedef.cache_key(request), None)
        return fixturedef.cached_result[0]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "setup":
            self._asked, self._refused = 0, []
        if call.when == "call" or call.excinfo:
            error = call.excinfo.value if call.excinfo else None
            row = {"asked": self._asked, "refused": self._refused, "error": described(error)}
            self.told.setdefault(name_of(item), []).append(row)
        return report


class Ignoring:
    """Takes every word and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self


def name_of(item: pytest.Item) -> str:
    """`chat/test_completions::test_method_list`."""
    file = item.nodeid.partition("::")[0].removeprefix("tests/api_resources/").removesuffix(".py")
    return f"{file}::{item.name.partition('[')[0]}"


def described(error: BaseException | None) -> Json | None:
    if error is None:
        return None
    told = {"type": type(error).__name__, "words": str(error)[:1000], "status": getattr(error, "status_code", None)}
    return {**told, "code": getattr(error, "code", None)}


def main() -> None:
    question = json.load(sys.stdin)
    source = question["source"]
    sys.path[:0] = [source, f"{source}/src"]
    os.environ["TEST_API_BASE_URL"] = question["base_url"]
    os.chdir(source)
    base: Any = import_module("openai._base_client").BaseClient
    making = Making(question["base_url"], question["key"], question["finished"], question["tuned"])
    judging = Judging(making, question)
    build, start = base._build_request, base.__init__
    base._build_request = lambda client, options, **more: judging.sent(build, client, options, **more)
    base.__init__ = lambda client, *args, **more: start(client, *args, **{**more, "max_retries": 0})
    loops = [word for name in ("fixture", "test") for word in ("-o", f"asyncio_default_{name}_loop_scope=session")]
    without = [f"-pno:{name}" for name in ("cacheprovider", "logging", "warnings", "anyio")]
    own = ["-c", os.devnull, "--rootdir", source, *without, "--assert=plain", "-o", "asyncio_mode=auto", *loops]
    with redirect_stdout(sys.stderr):
        ended = pytest.main([*own, "-q", "--tb=no", *(f"tests/api_resources/{name}.py" for name in question["files"])], plugins=[judging])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"pytest has run no tests: {ended!r}")
    print(json.dumps({"version": import_module("openai").__version__, "told": judging.told}))  # noqa: T201


main()
