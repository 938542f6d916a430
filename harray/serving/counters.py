"""What `/metrics` says, in Prometheus' text format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_SEC = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)


class Counters:
    """Of one ingress replica."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.frames = self._counter("frames", "Frames by what became of them.", "outcome")
        self.decisions = self._counter("decisions", "Decisions about people, by verdict.", "verdict")
        self.uploads = self._counter("uploads", "Requests to /predict, by status.", "status")
        self.shadow = self._counter("shadow_decisions", "Decisions made twice.", "agreement")
        self.latency = Histogram(
            "harray_frame_seconds",
            "From a frame's arrival to its answer.",
            buckets=LATENCY_SEC,
            registry=self.registry,
        )
        self.sockets = self._gauge("sockets", "Open sockets.")
        self.queue = self._gauge("queue", "Frames that wait for the networks or are in them.")
        self.model = self._gauge("model_info", "The model that is served; always 1.", "model", "version")

    def text(self, model: str, version: str) -> bytes:
        """The page that Prometheus reads."""
        self.model.clear()
        self.model.labels(model=model, version=version).set(1)
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"harray_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"harray_{name}", about, labels, registry=self.registry)
