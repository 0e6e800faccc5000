"""What the READMEs show works, word for word, against `banjia demo`; and the two tell the same."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.journeys.judges import CLIENTS, node_command
from tests.journeys.processes import ROOT, Failed, Running, banjia, environment
from tests.journeys.snippets import Snippet, Unclosed, at, snippets, structure

PAGES = ("README.md", "README.zh-CN.md")
SAMPLE = """\
# Title
| a | b \\| c |
|---|---|
```python
print("# not a heading")
```
## Next
  ```bash
  curl http://127.0.0.1:8080/v1/models \\
    -H "Authorization: Bearer sk-demo"
  ```
```bash
make run
```
````md
```js
await 1
```
````
~~~js
console.log("http://localhost:8080")
~~~
"""


def found() -> list[tuple[str, Snippet]]:
    pages = [(name, ROOT / name) for name in PAGES]
    return [(name, block) for name, path in pages if path.exists() for block in snippets(path.read_text("utf-8")) if block.runner]


FOUND = found()


@pytest.fixture(scope="module")
def demo() -> Iterator[Running]:
    with banjia("demo", "--port", "0") as running:
        yield running


@pytest.mark.parametrize(("page", "snippet"), FOUND, ids=[f"{page}:{snippet.line}-{snippet.language}" for page, snippet in FOUND])
def test_a_snippet_runs(demo: Running, page: str, snippet: Snippet) -> None:
    printed = run(snippet, demo.url.removeprefix("http://"))

    assert printed.strip()
    if snippet.runner == "bash":
        assert "error" not in json.loads(printed)


def run(snippet: Snippet, address: str) -> str:
    """What the snippet prints."""
    if snippet.runner == "bash" and shutil.which("curl") is None:
        pytest.skip("there is no curl")
    folder = CLIENTS / "node" if snippet.runner == "node" else ROOT
    command = {
        "python": lambda: [sys.executable, "-"],
        "node": lambda: [node_command(), "--input-type=module", "-"],
        "bash": lambda: ["bash", "-euo", "pipefail", "-s"],
    }[snippet.runner]()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(NO_PROXY="127.0.0.1", PYTHONIOENCODING="utf-8"),
        input=at(snippet.text, address),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"the snippet at line {snippet.line} ended with {done.returncode}: {done.stderr[-3000:]}")
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_each_way_of_asking(page: str) -> None:
    blocks = [snippet for name, snippet in FOUND if name == page]

    assert {block.runner for block in blocks} == {"python", "node", "bash"}
    assert any("langchain_openai" in block.text for block in blocks)
    assert all("sk-demo" in block.text for block in blocks)


def test_both_pages_have_the_same_headings_code_and_tables() -> None:
    one, other = (structure((ROOT / page).read_text("utf-8")) for page in PAGES)

    assert one == other


# ---- the reader of pages itself ----


def test_what_is_found_in_a_page() -> None:
    blocks = snippets(SAMPLE)

    assert [(block.language, block.runner, block.line) for block in blocks] == [
        ("python", "python", 4),
        ("bash", "bash", 8),
        ("bash", "", 12),
        ("md", "", 15),
        ("js", "node", 20),
    ]
    assert blocks[1].text == 'curl http://127.0.0.1:8080/v1/models \\\n  -H "Authorization: Bearer sk-demo"\n'


def test_the_structure_of_a_page() -> None:
    assert structure(SAMPLE) == [
        "heading 1", "row 2", "row 2", "code python", "heading 2", "code bash", "code bash", "code md", "code js",
    ]  # fmt: skip


def test_only_the_address_is_replaced() -> None:
    assert at(snippets(SAMPLE)[4].text, "127.0.0.1:9") == 'console.log("http://127.0.0.1:9")\n'
    assert at("http://127.0.0.1:80801 http://127.0.0.1:8080/v1", "h:1").endswith("http://h:1/v1")


def test_a_fence_that_is_never_closed() -> None:
    with pytest.raises(Unclosed, match="line 2"):
        snippets("# a\n```python\nprint(1)\n")
