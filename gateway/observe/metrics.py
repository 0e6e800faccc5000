"""Prometheus's metrics. Labels come from the config and from what has served, never from a client alone, and their number is bounded.

Counts are kept in dicts and given to prometheus_client when somebody asks: its own counters take a lock for each, which every request would
pay for.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.api.wire import Record

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MOST = 2000
"""Combinations of labels of one metric. What comes beyond is counted as `other`."""
OTHER = "other"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
OVERHEAD = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
USAGE = {"prompt": "prompt_tokens", "completion": "completion_tokens"}

Labels = tuple[str, ...]


class Counts:
    """A counter."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[Labels, int] = {}

    def add(self, labels: Labels, count: int = 1) -> None:
        values = self._values
        if labels in values:
            values[labels] += count
        elif len(values) < MOST:
            values[labels] = count
        else:
            other = (OTHER,) * len(labels)
            values[other] = values.get(other, 0) + count

    def family(self, name: str, help: str, labels: Sequence[str]) -> Metric:
        made = CounterMetricFamily(name, help, labels=labels)
        for values, count in self._values.copy().items():
            made.add_metric(values, count)
        return made


class Spread:
    """A histogram, with the bounds of its buckets in seconds."""

    __slots__ = ("_bounds", "_sums", "_values")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._values: dict[Labels, list[int]] = {}
        """How many fell into each bucket, the last of which has no bound."""
        self._sums: dict[Labels, float] = {}

    def add(self, labels: Labels, seconds: float) -> None:
        if (counts := self._values.get(labels)) is None:
            if len(self._values) >= MOST:
                labels = (OTHER,) * len(labels)
            counts = self._values.setdefault(labels, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def family(self, name: str, help: str, labels: Sequence[str]) -> Metric:
        made = HistogramMetricFamily(name, help, labels=labels)
        bounds = [*map(str, self._bounds), "+Inf"]
        for values, counts in self._values.copy().items():
            made.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), self._sums.get(values, 0.0))
        return made


class Metrics(Collector):
    """A sink for records, and the page that Prometheus reads. `gauges`: what is so at the moment when somebody asks, by name."""

    def __init__(self) -> None:
        self.gauges: Callable[[], dict[str, float]] = dict
        self._now: dict[str, float] = {}
        """The gauges when the page was asked for."""
        self._requests = Counts()
        self._tokens = Counts()
        self._faults = Counts()
        self._lines = Counts()
        self._seconds = Spread(SECONDS)
        self._overhead = Spread(OVERHEAD)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def __call__(self, record: Record) -> None:
        account, _, model = record.served.partition("/")
        self._requests.add((record.team, account, model, str(record.status)))
        if record.batch:
            self._lines.add((record.team, str(record.status)))
        if record.usage:
            for kind, name in USAGE.items():
                self._tokens.add((record.team, account, model, kind), record.usage.get(name) or 0)
        for fault in record.faults:
            hop, _, kind = fault.rpartition(": ")
            self._faults.add((hop, kind))
        if account:
            self._seconds.add((account,), record.seconds)
            if not record.stream:
                self._overhead.add((), record.overhead_ms / 1000)

    async def page(self) -> bytes:
        """Written in a thread: with as many labels as there may be, it takes a third of a second."""
        self._now = self.gauges()
        return await asyncio.to_thread(generate_latest, self._registry)

    def collect(self) -> Iterator[Metric]:
        yield self._requests.family("banjia_requests", "Requests that have ended.", ("team", "account", "model", "status"))
        yield self._tokens.family("banjia_tokens", "Tokens that providers have counted.", ("team", "account", "model", "kind"))
        yield self._faults.family("banjia_faults", "Attempts that have failed, and hops that were passed over.", ("hop", "kind"))
        yield self._lines.family("banjia_batch_lines", "Of these requests, tries of batches' lines.", ("team", "status"))
        yield self._seconds.family("banjia_request_seconds", "From the request to the end of its answer.", ("account",))
        yield self._overhead.family("banjia_overhead_seconds", "What the gateway itself takes of a plain request.", ())
        for name, value in self._now.items():
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
