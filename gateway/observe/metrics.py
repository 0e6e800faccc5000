"""Prometheus's metrics. Labels come from the config and from what has served, never from a client alone, and their number is bounded."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.api.wire import Record

M = TypeVar("M", Counter, Histogram)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MOST = 2000
"""Combinations of labels of one metric. What comes beyond is counted as `other`."""
OTHER = "other"
HELD = 256
"""Records that are counted together: most share their labels."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
USAGE = {"prompt": "prompt_tokens", "completion": "completion_tokens"}


class Watched(Protocol):
    """What is looked at when somebody asks: an App."""

    def gauges(self) -> dict[str, float]:
        """By name, without the prefix."""


class Metrics:
    """A sink for records, and the page that Prometheus reads."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more for each combination of labels, for nobody
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "banjia_requests", "Requests that have ended.", ("team", "account", "model", "status"), registry=self._registry
        )
        self._tokens = Counter(
            "banjia_tokens", "Tokens that providers have counted.", ("team", "account", "model", "kind"), registry=self._registry
        )
        self._faults = Counter("banjia_faults", "Attempts that have failed.", ("hop", "kind"), registry=self._registry)
        self._seconds = Histogram(
            "banjia_request_seconds", "From the request to the end of its answer.", ("account",), buckets=SECONDS, registry=self._registry
        )
        self._overhead = Histogram(
            "banjia_overhead_seconds", "What the gateway itself takes of a plain request.", buckets=OVERHEAD, registry=self._registry
        )
        self._held: list[Record] = []
        self._known: dict[str, set[tuple[str, ...]]] = {}

    def __call__(self, record: Record) -> None:
        self._held.append(record)
        if len(self._held) >= HELD:
            self._count()

    def watch(self, watched: Watched) -> None:
        self._registry.register(_Gauges(watched.gauges))

    def page(self) -> bytes:
        self._count()
        return generate_latest(self._registry)

    def _count(self) -> None:
        records, self._held = self._held, []
        requests: dict[tuple[str, ...], int] = {}
        tokens: dict[tuple[str, ...], int] = {}
        for record in records:
            account, _, model = record.served.partition("/")
            asked = (record.team, account, model, str(record.status))
            requests[asked] = requests.get(asked, 0) + 1
            if record.usage:
                for kind, name in USAGE.items():
                    used = (record.team, account, model, kind)
                    tokens[used] = tokens.get(used, 0) + (record.usage.get(name) or 0)
            for fault in record.faults:
                hop, _, kind = fault.rpartition(": ")
                self._child(self._faults, "faults", (hop, kind)).inc()
            if account:
                self._child(self._seconds, "seconds", (account,)).observe(record.seconds)
                if not record.stream:
                    self._overhead.observe(record.overhead_ms / 1000)
        for labels, count in requests.items():
            self._child(self._requests, "requests", labels).inc(count)
        for labels, count in tokens.items():
            self._child(self._tokens, "tokens", labels).inc(count)

    def _child(self, metric: M, name: str, labels: tuple[str, ...]) -> M:
        known = self._known.setdefault(name, set())
        if labels not in known:
            if len(known) >= MOST:
                labels = (OTHER,) * len(labels)
            known.add(labels)
        return metric.labels(*labels)


class _Gauges(Collector):
    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        for name, value in self._read().items():
            yield GaugeMetricFamily(f"banjia_{name}", HELP[name], value=value)


HELP = {
    "in_flight": "Requests under way.",
    "waiting": "Requests in the queue.",
    "draining": "1 while it is being stopped.",
    "config_reload_failed": "1 while the files on disk are not what is running.",
    "state_degraded": "1 while limits are this process's share alone.",
    "store_degraded": "1 while usage is not written to the database.",
    "usage_pending": "Usage records that wait for the database.",
    "usage_lost": "Usage records that could be kept nowhere.",
    "replicas": "Processes that share the limits.",
    "resting": "Hops that are being rested.",
}
