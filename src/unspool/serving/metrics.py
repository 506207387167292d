"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of the metrics."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Counters by model.

    Args:
        together: whether several processes count, whose sums are shown; they share the folder that the environment
            variable `PROMETHEUS_MULTIPROC_DIR` names.
    """

    def __init__(self, *, together: bool = False) -> None:
        self.together, self.registry = together, CollectorRegistry()
        own = self.registry
        names = ["model", "route"]
        self.requests = Counter("unspool_requests", "Answers by status.", [*names, "status"], registry=own)
        self.steps = Counter("unspool_steps", "Steps of sequences that were generated.", names[:1], registry=own)
        self.queue = Gauge(
            "unspool_queue",
            "Requests that are under way or wait.",
            names[:1],
            registry=own,
            multiprocess_mode="livesum",
        )
        self.slots = Gauge(
            "unspool_slots", "Sequences in the last chunk.", names[:1], registry=own, multiprocess_mode="livesum"
        )
        self.programs = Gauge(
            "unspool_programs", "Programs that were compiled or read.", registry=own, multiprocess_mode="livesum"
        )
        self.chunk = Histogram("unspool_chunk_seconds", "Seconds of a chunk.", names[:1], registry=own, buckets=SECONDS)
        self.latency = Histogram(
            "unspool_request_seconds", "Seconds to an answer.", names, registry=own, buckets=SECONDS
        )
        self.first = Histogram(
            "unspool_first_step_seconds",
            "Seconds to the first step of a stream.",
            names[:1],
            registry=own,
            buckets=SECONDS,
        )

    def count_chunk(self, model: str, rows: int, steps: int, seconds: float) -> None:
        """Count a chunk of a model: its sequences, the steps of all of them, and its seconds."""
        self.chunk.labels(model).observe(seconds)
        self.slots.labels(model).set(rows)
        self.steps.labels(model).inc(steps)

    def text(self) -> bytes:
        """All of them."""
        if not self.together:
            return generate_latest(self.registry)
        whole = CollectorRegistry()
        MultiProcessCollector(whole)
        return generate_latest(whole)
