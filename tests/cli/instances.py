"""`instances`, as an operator runs it beside `serve`."""

from __future__ import annotations

from typing import Any

from tests.support.served import Client, Served, run_here, run_json


class Instances:
    """The command line, on the data directory of a running `serve`."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def run(self, *args: object) -> tuple[int, str, str]:
        done = run_here("instances", *args, "--data", self.served.data)
        return done.returncode, done.stdout, done.stderr

    def json(self, *args: object) -> Any:
        return run_json("instances", *args, "--data", self.served.data)

    def refused(self, *args: object) -> str:
        status, _, told = self.run(*args)
        assert (status, told.count("\n")) == (1, 1), told
        return told

    def client(self, key: str) -> Client:
        return Client(self.served, key)

    def listed(self, instance_id: str) -> dict[str, Any]:
        [found] = [i for i in self.json("list") if i["instance_id"] == instance_id]
        return dict(found)
