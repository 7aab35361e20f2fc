"""Prometheus metrics on a loopback port of their own, where no caller of the relay reaches them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

# Each is there from the start with 0: a rate does not see the step from nothing to 1, which of a
# fault is the only one.
EVENTS = {
    "opened": ("pairing_code", "completion_code", "none"),
    "callback": (
        *("confirm", "completion", "onward", "idp_error"),
        *("token-invalid", "login-expired", "login-over", "issuer-mismatch", "address-too-long"),
    ),
    "pairing_code_wrong": ("",),
    "released": ("person", "idp_error"),
    "declined": ("person",),
    "finished": ("instance",),
    "cancelled": ("instance", "tries"),
    "expired": ("pending", "held", "released"),
    "collected": ("",),
    "key_refused": ("",),
    "rate_limited": ("open", "key", "pairing", "held"),
    "keys_rotated": ("",),
    "keys_overdue": ("",),
    "proxy_not_trusted": ("",),
    "unhandled_exception": ("",),
    "store_unavailable": ("",),
    "chores_failed": ("",),
    "erasure_held_up": ("",),
    "descriptors_exhausted": ("",),
}
_BUCKETS = (0.005, 0.02, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800)


class PrometheusMetrics:
    """Counts events in a registry of its own."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "opencode_relay_events",
            "Events of logins: opened, callback, released, collected, finished and the rest",
            ["event", "outcome"],
            registry=self.registry,
        )
        for event, outcomes in EVENTS.items():
            for outcome in outcomes:
                self._events.labels(event, outcome)
        self._collection = Histogram(
            "opencode_relay_callback_to_collection_seconds",
            "Seconds from a login's callback to the collection of its response",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        Gauge(
            "opencode_relay_waiting", "Instances that wait now", registry=self.registry
        ).set_function(waiting)

    def count(self, event: str, outcome: str) -> None:
        self._events.labels(event, outcome).inc()

    def seconds_to_collection(self, seconds: float) -> None:
        self._collection.observe(seconds)

    def serve(self, port: int) -> Callable[[], None]:
        """Listen on 127.0.0.1; returns what ends it. Raises OSError."""
        server, thread = start_http_server(port, "127.0.0.1", self.registry)

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end
