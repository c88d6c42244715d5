"""What a service counts, in Prometheus' text form; a registry for each app, so that two never mix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import generate_latest

from grainless.version import __version__

if TYPE_CHECKING:
    from grainless.batch.treatment import Treatment
    from grainless.diagnosis import Diagnosis
    from grainless.service.pool import Pool

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)
UNCHANGED = "none"
"""Stands for a model where the picture was left as it is."""


class Metrics:
    """The counters of one app; all labels come from short lists, so that no client can add rows at will."""

    def __init__(self, pool: Pool) -> None:
        """Make the registry; the gauges look at `pool`."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("grainless_build", "Version of grainless.", registry=self.registry).info(
            {"version": __version__}
        )
        self._requests = Counter(
            "grainless_requests_total",
            "Requests that were answered.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "grainless_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(
            "grainless_refused_total",
            "Requests refused by a limit or for the key, by the reason.",
            ["reason"],
            registry=self.registry,
        )
        self._pictures = Counter(
            "grainless_pictures_total",
            "Pictures answered, by the model (none: left as they were).",
            ["model"],
            registry=self.registry,
        )
        self._megapixels = Counter(
            "grainless_megapixels_total", "Million pixels answered.", registry=self.registry
        )
        self._kinds = Counter(
            "grainless_diagnoses_total", "Diagnoses, by the kind of noise.", ["kind"], registry=self.registry
        )
        taken = Gauge("grainless_places_taken", "Places that are not free.", registry=self.registry)
        taken.set_function(lambda: pool.taken)
        working = Gauge("grainless_workers_busy", "Workers at work.", registry=self.registry)
        working.set_function(lambda: pool.working)
        Gauge("grainless_places", "Places for pictures.", registry=self.registry).set(pool.places)

    def count_request(self, endpoint: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def count_refusal(self, reason: str) -> None:
        """Count a request that a limit stopped."""
        self._refused.labels(reason).inc()

    def count_cleaned(self, treatment: Treatment, pixels: int) -> None:
        """Count a picture that was cleaned or left as it was."""
        self._pictures.labels(treatment.model or UNCHANGED).inc()
        self._megapixels.inc(pixels / 1e6)
        if treatment.diagnosis is not None:
            self.count_diagnosis(treatment.diagnosis)

    def count_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Count a diagnosis."""
        self._kinds.labels(diagnosis.kind).inc()

    def as_text(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        return generate_latest(self.registry)
