"""Metrics on AWS: CloudWatch's embedded metric format, by Powertools."""

from __future__ import annotations

from aws_lambda_powertools.metrics import Metrics, MetricUnit

NAMESPACE = "OpencodeRelay"


class EMFMetrics:
    """Counts the same events as Prometheus does on one machine; written once a request."""

    def __init__(self) -> None:
        # Its dimension is the stack, which POWERTOOLS_SERVICE_NAME names.
        self._metrics = Metrics(namespace=NAMESPACE)
        self._any = False

    def count(self, event: str, outcome: str) -> None:
        # Callbacks by outcome, for the alarm on refused ones; every name is a metric that costs.
        name = f"{event}_{outcome}" if event == "callback" else event
        self._metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
        self._any = True

    def seconds_to_collection(self, seconds: float) -> None:
        self._metrics.add_metric(
            name="callback_to_collection", unit=MetricUnit.Seconds, value=seconds
        )
        self._any = True

    def flush(self) -> None:
        if self._any:
            self._metrics.flush_metrics()
            self._any = False
