"""The accounts that the journeys go through, as data, and the config of a gateway that has them all.

A key per account: the key decides what `gpt-4o` is, so that the program under test stays the same.
"""

from typing import Any, Literal

from msgspec import Struct

BEARER = "sk-0123456789abcdef"
SIGNED = {"access_key_id": "ak", "access_key_secret": "sk"}


class Account(Struct, frozen=True):
    """One way of reaching a vendor, and what of OpenAI's chat survives there."""

    id: str
    vendor: str
    chat: str
    secrets: dict[str, str]
    surface: str = ""
    auth: str = ""
    path: str = ""
    """Of the simulator's address, where it is not just the vendor's name."""
    api_version: str = ""
    deployments: dict[str, str] = {}
    login: bool = False
    """Its tokens are issued elsewhere than at its `base_url`, though by the same simulator."""
    embeddings: str = ""
    """The model of text-embedding-3-small; "" where the surface has none."""
    width: int = 0
    """Dimensions of its vectors."""
    seer: str = ""
    """A model that takes images."""
    seer_calls: bool = True
    """It calls functions too."""
    thinker: str = ""
    """A model that thinks, if `reasoning_effort` says so."""
    json: Literal["schema", "object", "none"] = "object"
    stops: bool = True
    chooses: bool = True
    """A function can be left uncalled, or forced, by a field rather than by words."""
    parallel: bool = True
    tells_details: bool = True
    """Cached tokens are told, and those of the reasoning beside them."""
    changes: str = ""
    """What the header says became of MUCH."""
    trouble: str = ""
    """The secret that carries a word such as `limited`, with {} for the word."""
    fetches: bool = True
    """It fetches an image by its address."""
    own: bool = False
    """A server of the deployer's own: nobody is billed, and no words are refused."""
    asks_key: bool = True
    asks_model: bool = True
    """It refuses a key, or a model, that it does not know."""

    @property
    def key(self) -> str:
        return f"sk-{self.id}"


MUCH: dict[str, Any] = {
    "temperature": 2,
    "logit_bias": {"50256": -100},
    "seed": 7,
    "user": "u-1",
    "store": True,
    "metadata": {"a": "b"},
    "service_tier": "auto",
}
"""Fields that some vendor or other does not take as they are."""

BAIDU_KEY = "bce-v3/ALTAK-abcdefghij/0123456789abcdef"
ACCOUNTS: tuple[Account, ...] = (
    Account(
        "zhipu",
        "zhipu",
        "glm-5.2",
        {"api_key": "id.secret"},
        embeddings="embedding-3",
        width=2048,
        seer="glm-5v-turbo",
        thinker="glm-5.2",
        json="object",
        chooses=False,
        trouble="{}.secret",
        changes="temperature=clamped:1,logit_bias=dropped,user=renamed:user_id,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "zhipu-signed",
        "zhipu",
        "glm-5.2",
        {"api_key": "id.secret"},
        auth="signed_token",
        embeddings="embedding-3",
        width=2048,
        seer="glm-5v-turbo",
        thinker="glm-5.2",
        json="object",
        chooses=False,
        trouble="{}.secret",
        changes="temperature=clamped:1,logit_bias=dropped,user=renamed:user_id,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "baidu",
        "baidu",
        "ernie-4.5-turbo-20260402",
        {"api_key": BAIDU_KEY},
        embeddings="qwen3-embedding-0.6b",
        width=1024,
        seer="glm-4.5v",
        thinker="ernie-5.1",
        trouble="bce-v3/ALTAK-{}/0123456789abcdef",
        changes="temperature=clamped:1,logit_bias=dropped,store=dropped,metadata=dropped",
    ),
    Account(
        "baidu-iam",
        "baidu",
        "ernie-4.5-turbo-20260402",
        SIGNED,
        embeddings="qwen3-embedding-0.6b",
        width=1024,
        seer="glm-4.5v",
        thinker="ernie-5.1",
        trouble="{}",
        changes="temperature=clamped:1,logit_bias=dropped,store=dropped,metadata=dropped",
    ),
    Account(
        "baidu-legacy",
        "baidu",
        "ernie-4.0-8k",
        SIGNED,
        surface="legacy",
        embeddings="bge-large-zh",
        width=1024,
        parallel=False,
        tells_details=False,
        trouble="{}",
        changes="temperature=clamped:1,logit_bias=dropped,seed=dropped,user=renamed:user_id,store=dropped,metadata=dropped",
    ),
    Account(
        "sensetime",
        "sensetime",
        "SenseNova-V6-5-Pro",
        SIGNED,
        embeddings="nova-embedding-stable",
        width=768,
        seer="SenseNova-V6-5-Pro",
        thinker="SenseNova-V6-5-Pro",
        stops=False,
        tells_details=False,
        trouble="{}",
        changes="logit_bias=dropped,seed=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "sensetime-compatible",
        "sensetime",
        "SenseNova-V6-5-Pro",
        SIGNED,
        surface="compatible",
        seer="SenseNova-V6-5-Pro",
        thinker="SenseNova-V6-5-Pro",
        stops=False,
        chooses=False,
        tells_details=False,
        trouble="{}",
        changes="logit_bias=dropped,seed=dropped,user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "sensetime-plan",
        "sensetime",
        "sensenova-6.8-flash-lite",
        {"api_key": BEARER},
        surface="token_plan",
        path="sensetime/token/v1",
        seer="sensenova-6.8-flash-lite",
        thinker="sensenova-6.8-flash-lite",
        json="none",
        tells_details=False,
        trouble="sk-{}-0123456789",
        changes="logit_bias=dropped,user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "alibaba",
        "alibaba",
        "qwen3.7-plus",
        {"api_key": BEARER},
        embeddings="text-embedding-v4",
        width=1024,
        seer="qwen3.7-plus",
        thinker="qwen3.7-plus",
        json="schema",
        trouble="sk-{}-0123456789",
        changes="temperature=clamped:1.99,logit_bias=dropped,user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "alibaba-native",
        "alibaba",
        "qwen3.7-plus",
        {"api_key": BEARER},
        surface="native",
        embeddings="text-embedding-v4",
        width=1024,
        seer="qwen3.7-plus",
        thinker="qwen3.7-plus",
        json="schema",
        trouble="sk-{}-0123456789",
        changes="temperature=clamped:1.99,logit_bias=dropped,user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "baichuan",
        "baichuan",
        "Baichuan4-Turbo",
        {"api_key": BEARER},
        embeddings="Baichuan-Text-Embedding",
        width=1024,
        thinker="Baichuan-M3",
        stops=False,
        chooses=False,
        tells_details=False,
        trouble="sk-{}-0123456789",
        changes="temperature=clamped:1,logit_bias=dropped,seed=dropped,user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "openai",
        "openai",
        "gpt-5.4",
        {"api_key": BEARER},
        embeddings="text-embedding-3-small",
        width=1536,
        seer="gpt-5.4",
        json="schema",
        stops=False,
        trouble="sk-{}-0123456789",
        changes="logit_bias=dropped",
    ),
    Account(
        "azure",
        "azure_openai",
        "gpt-4.1",
        {"client_id": "client", "client_secret": "secret", "tenant_id": "a-tenant"},
        login=True,
        embeddings="text-embedding-3-small",
        width=1536,
        seer="gpt-4.1",
        json="schema",
        trouble="{}-client",
    ),
    Account(
        "azure-classic",
        "azure_openai",
        "gpt-4o",
        {"api_key": BEARER},
        api_version="2024-10-21",
        deployments={"gpt-4o": "gpt4o-prod"},
        embeddings="text-embedding-3-small",
        width=1536,
        seer="gpt-4o",
        json="schema",
        trouble="sk-{}-0123456789",
        changes="store=dropped,metadata=dropped",
    ),
    Account(
        "qihoo360",
        "qihoo360",
        "360gpt2-pro",
        {"api_key": "fk0123456789abcdef"},
        embeddings="embedding-bert-512-v1",
        width=768,
        seer="volcengine/doubao-seed-2-0-pro",
        seer_calls=False,
        thinker="360zhinao3-o1.5",
        json="none",
        stops=False,
        chooses=False,
        tells_details=False,
        trouble="fk-{}-0123456789",
        changes="temperature=clamped:1,logit_bias=dropped,seed=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "vllm",
        "openai_compatible",
        "meta-llama/Llama-3.3-70B-Instruct",
        {"api_key": BEARER},
        surface="vllm",
        path="openai_compatible/vllm",
        embeddings="Qwen/Qwen3-Embedding-0.6B",
        width=1024,
        seer="meta-llama/Llama-4-Scout-17B-16E-Instruct",
        thinker="Qwen/Qwen3-32B",
        json="schema",
        tells_details=False,
        trouble="sk-{}-0123456789",
        own=True,
        changes="user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "sglang",
        "openai_compatible",
        "meta-llama/Llama-3.3-70B-Instruct",
        {"api_key": BEARER},
        surface="sglang",
        path="openai_compatible/sglang",
        embeddings="Qwen/Qwen3-Embedding-0.6B",
        width=1024,
        seer="meta-llama/Llama-4-Scout-17B-16E-Instruct",
        thinker="Qwen/Qwen3-32B",
        json="schema",
        tells_details=False,
        trouble="sk-{}-0123456789",
        own=True,
        asks_model=False,
        changes="user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "ollama",
        "openai_compatible",
        "llama3.3:70b",
        {"api_key": BEARER},
        surface="ollama",
        path="openai_compatible/ollama",
        embeddings="qwen3-embedding:0.6b",
        width=1024,
        seer="llama4:scout",
        thinker="qwen3:32b",
        json="schema",
        chooses=False,
        tells_details=False,
        trouble="sk-{}-0123456789",
        fetches=False,
        own=True,
        asks_key=False,
        changes="logit_bias=dropped,user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
    Account(
        "llama-cpp",
        "openai_compatible",
        "meta-llama/Llama-3.3-70B-Instruct",
        {"api_key": BEARER},
        surface="llama_cpp",
        path="openai_compatible/llama_cpp",
        embeddings="Qwen/Qwen3-Embedding-0.6B",
        width=1024,
        seer="meta-llama/Llama-4-Scout-17B-16E-Instruct",
        thinker="Qwen/Qwen3-32B",
        json="schema",
        tells_details=False,
        trouble="sk-{}-0123456789",
        own=True,
        asks_model=False,
        changes="user=dropped,store=dropped,metadata=dropped,service_tier=dropped",
    ),
)
TROUBLES = ("invalid", "limited", "quota", "arrears")
DRIP = "-drip"
"""What the name of an account ends in whose simulator sends every byte on its own."""

STRICT = "sk-strict"
"""A team's key that wants 400 rather than a changed field."""
PATIENT = "sk-patient"
"""A key whose only provider is too busy at each of three attempts."""
RESCUED = "sk-rescued"
"""A key whose first provider refuses the account, and whose second answers."""
ELSEWHERE = "sk-elsewhere"
"""A key of a caller whose data may go nowhere."""


def gateway_yaml(simulators: str, drip: str) -> dict[str, Any]:
    """A gateway's own file. It is YAML since it is JSON."""
    providers: dict[str, Any] = {}
    for account in ACCOUNTS:
        providers[account.id] = _account(account, simulators, account.secrets)
        providers[account.id + DRIP] = _account(account, drip, account.secrets)
        for word in TROUBLES:
            providers[f"{account.id}-{word}"] = _account(account, simulators, _troubled(account, word))
    return {
        "schema": "banjia/v1",
        "server": {"host": "127.0.0.1", "port": 0},
        "admin": {"key": "admin-key-of-the-journeys"},
        "defaults": {"retry": {"max": 0}, "timeouts": {"total": "40s"}},
        "providers": providers,
    }


def _account(account: Account, address: str, secrets: dict[str, str]) -> dict[str, Any]:
    told = {"vendor": account.vendor, "jurisdiction": "cn-mainland", "base_url": f"{address}/{account.path or account.vendor}", **secrets}
    if account.login:
        told["auth_url"] = f"{address}/{account.vendor}"
    return {**told, **{name: value for name in ("surface", "auth", "api_version", "deployments") if (value := getattr(account, name))}}


def _troubled(account: Account, word: str) -> dict[str, str]:
    first = next(iter(account.secrets))
    return {**account.secrets, first: account.trouble.format(word)}


def teams_yaml() -> dict[str, dict[str, Any]]:
    """The teams' files, by name."""
    keys: list[dict[str, Any]] = []
    for account in ACCOUNTS:
        names = (account.id, account.id + DRIP, *(f"{account.id}-{word}" for word in TROUBLES))
        keys += [{"name": name, "key": f"sk-{name}", "models": _models(account, name)} for name in names]
    busy = {"serve": "zhipu-limited/glm-5.2", "retry": {"max": 2}}
    rescued = {"serve": "zhipu-invalid/glm-5.2", "fallback": ["alibaba/qwen3.7-plus"]}
    keys += [
        {"name": "patient", "key": PATIENT, "models": {"gpt-4o": busy}},
        {"name": "rescued", "key": RESCUED, "models": {"gpt-4o": rescued}},
        {"name": "elsewhere", "key": ELSEWHERE, "jurisdiction": "hk", "models": {"gpt-4o": {"reject": "not from {model}"}}},
    ]
    policy = {"allow": {"cn-mainland": ["cn-mainland", "on-premises"], "hk": ["hk"]}}
    return {
        "journeys": {"schema": "banjia/team.v1", "team": "journeys", "keys": keys, "policy": policy},
        "strict": {
            "schema": "banjia/team.v1",
            "team": "strict",
            "keys": [{"name": "strict", "key": STRICT}],
            "policy": {**policy, "fidelity": "strict"},
            "models": {"gpt-4o": "zhipu/glm-5.2"},
        },
    }


def _models(account: Account, name: str) -> dict[str, Any]:
    models: dict[str, Any] = dict.fromkeys(("gpt-4o", account.chat), f"{name}/{account.chat}") | {"gpt-gone": f"{name}/no-such-model"}
    if account.embeddings:
        declared = {"serve": f"{name}/{account.embeddings}", "space": f"{account.vendor}/{account.embeddings}"}
        models |= dict.fromkeys(("text-embedding-3-small", account.embeddings), declared)
    if account.seer:
        models["gpt-4-vision-preview"] = f"{name}/{account.seer}"
    if account.thinker:
        models["o3"] = f"{name}/{account.thinker}"
    return models
