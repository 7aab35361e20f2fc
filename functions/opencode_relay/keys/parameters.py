"""The key ring on AWS: a SecureString parameter for each purpose.

So a function's policy can name the keys it may read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import Any

from opencode_relay import program
from opencode_relay.amazon import translated
from opencode_relay.errors import StoreUnavailable

from .key import Key, Purpose
from .ring import BACKDATED, Ring

FRESH = 300  # seconds that a read ring is used: well under the head start of a new key


class KeyParameters:
    """The parameters `{path}/{purpose}`; `client` is a low-level SSM client.

    Methods raise StoreUnavailable, which names the error's kind and never a value.
    """

    def __init__(self, client: Any, path: str, clock: Callable[[], float] = time.time) -> None:
        self._ssm = client
        self._path = path
        self._clock = clock

    def load(self, purposes: Collection[Purpose] = tuple(Purpose)) -> Ring:
        """Read the keys of some purposes; none of them may be missing."""
        ring = self._read(purposes)
        if {key.purpose for key in ring.keys} != set(purposes):
            raise StoreUnavailable(
                f"In {self._ssm.meta.region_name} the keys are not all there under {self._path}: "
                "check the region and that path first. If both are right, the stack's "
                "RotateKeysFunction adds what is missing, daily and whenever it is invoked; "
                f"without a stack {program.command('keys', 'rotate', '--due')} does."
            )
        return ring

    def make(self) -> bool:
        """Make the keys that are missing; says if any was. Those that are there stay."""
        found = self._read(tuple(Purpose))
        made = found.completed(self._clock() - BACKDATED)
        self._save(made, found)
        return made != found

    def rotate(self) -> Ring:
        ring = self.load().rotated(self._clock())
        self._save(ring)
        return ring

    def rotate_if_due(self) -> bool:
        """Make what is missing, rotate at `MAX_AGE`, drop outlived keys. Says if any is new."""
        ring, now = self._read(tuple(Purpose)), self._clock()
        tended = ring.completed(now - BACKDATED).tended(now)
        self._save(tended, ring)
        return not set(tended.keys) <= set(ring.keys)

    def replace_all(self) -> Ring:
        """Begin anew after a leak."""
        ring = Ring.fresh(self._clock() - BACKDATED)
        self._save(ring)
        return ring

    def remove(self) -> None:
        """Delete the keys, with the stack that they belong to."""
        names = [f"{self._path}/{purpose}" for purpose in Purpose]
        self._call("delete_parameters", Names=names)

    def _read(self, purposes: Collection[Purpose]) -> Ring:
        if not purposes:
            return Ring(())
        names = [f"{self._path}/{purpose}" for purpose in purposes]
        found = self._call("get_parameters", Names=names, WithDecryption=True)
        values = {one["Name"].rpartition("/")[2]: one["Value"] for one in found["Parameters"]}
        keys: list[Key] = []
        for purpose in (one for one in purposes if one in values):
            try:
                keys += _keys(purpose, values[purpose])
            except (ValueError, TypeError, RecursionError):
                name = f"{self._path}/{purpose}"
                raise StoreUnavailable(
                    f"The parameter {name} is damaged: `aws ssm delete-parameter --name {name}`, "
                    "and RotateKeysFunction makes another, daily and whenever it is invoked."
                ) from None
        return Ring(tuple(keys))

    def _save(self, ring: Ring, before: Ring | None = None) -> None:
        """Write the purposes whose keys are others than `before`; say how far it came."""
        left = [one for one in Purpose if not before or ring.of(one) != before.of(one)]
        done: list[str] = []
        for purpose in left:
            try:
                self._write(purpose, ring, new=bool(before and not before.of(purpose)))
            except StoreUnavailable as wrong:
                raise StoreUnavailable(
                    f"{wrong} Under {self._path} new keys are written for "
                    f"{', '.join(done) or 'nothing'}, and not for {', '.join(left[len(done) :])}: "
                    "run it again."
                ) from None
            done.append(purpose)

    def _write(self, purpose: Purpose, ring: Ring, *, new: bool) -> None:
        self._call(
            "put_parameter",
            Name=f"{self._path}/{purpose}",
            Value=json.dumps([key.row() for key in ring.of(purpose)]),
            Type="SecureString",
            Overwrite=not new,  # of two that make the first keys, which are used at once, one fails
        )

    def _call(self, method: str, **request: Any) -> dict[str, Any]:
        with translated("Parameter Store"):
            done: dict[str, Any] = getattr(self._ssm, method)(**request)
        return done


def _keys(purpose: Purpose, value: str) -> list[Key]:
    """Read a parameter's keys: of its own purpose alone, as policies have it."""
    keys = [Key.load(**row) for row in json.loads(value)]
    if {key.purpose for key in keys} != {purpose}:
        raise ValueError("no key, or one of another purpose")
    return keys
