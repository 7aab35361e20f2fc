"""Enrolled instances: their names, their keys, their return URLs.

An instance key is `ocr_` + the instance's id + `_` + 190 random bits + a checksum. The checksum
tells a typo from a wrong key without a look-up, and lets secret scanners find keys.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import unicodedata
import zlib
from dataclasses import dataclass, field, replace

from . import addresses, names
from .errors import ConfigError, Refused
from .secret import Secret, same

USE_NOTED = 3600  # seconds: that a key was used is written no more often
OLD_KEY_WORKS = 24 * 3600  # seconds, so that a new key can be carried to the instance at leisure
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID = string.digits + string.ascii_lowercase
_KEY = re.compile(r"ocr_([0-9a-z]{12})_[0-9A-Za-z]{32}([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class Instance:
    """An enrolled instance. Times are Unix seconds; keys are kept as SHA-256 only."""

    id: str
    name: str
    key_hash: str = field(repr=False)
    created_at: float
    return_urls: tuple[str, ...] = ()
    old_key_hash: str | None = field(default=None, repr=False)
    old_key_until: float = 0
    version: int = 1
    last_used_at: float | None = None  # of its key, to within `USE_NOTED`

    @classmethod
    def enrol(cls, name: str, return_urls: list[str], now: float) -> tuple[Instance, Secret]:
        """Make an instance and its key, which is not kept. Raises ConfigError."""
        _check_name(name)
        urls = tuple(dict.fromkeys(addresses.return_url(url) for url in return_urls))
        instance_id = "".join(secrets.choice(_ID) for _ in range(12))
        key = _new_key(instance_id)
        return cls(instance_id, name, _hash(key), now, urls), key

    @property
    def name_key(self) -> str:
        return name_key(self.name)

    def with_name(self, name: str) -> Instance:
        """Raises ConfigError for a name that `enrol` refuses."""
        _check_name(name)
        return replace(self, name=name)

    def with_new_key(self, now: float) -> tuple[Instance, Secret]:
        key = _new_key(self.id)
        until = now + OLD_KEY_WORKS
        changed = replace(
            self, key_hash=_hash(key), old_key_hash=self.key_hash, old_key_until=until
        )
        return changed, key

    def with_return_urls(self, add: list[str], drop: list[str]) -> Instance:
        """Raises ConfigError for a URL that is not canonical, or not there to drop."""
        missing = sorted(set(drop) - set(self.return_urls))
        if missing:
            raise ConfigError(f"{missing[0]!r} is not a return URL of {self.id}.")
        kept = [url for url in self.return_urls if url not in drop]
        return replace(
            self, return_urls=tuple(dict.fromkeys(kept + [addresses.return_url(u) for u in add]))
        )

    def accepts(self, key: Secret, now: float) -> bool:
        digest = _hash(key)
        old = now < self.old_key_until and same(digest, self.old_key_hash or "")
        return same(digest, self.key_hash) or old


def name_key(name: str) -> str:
    """Return what must be unique: names that differ in case only look alike to a person."""
    return unicodedata.normalize("NFKC", name).casefold()


def instance_id_of(key: Secret) -> str:
    """Read the instance's id off a key. Raises Refused where it is no key, or mistyped."""
    found = _KEY.fullmatch(key.reveal())
    if not key.reveal().startswith("ocr_"):
        raise Refused("instance-key-invalid", "This is not an instance key: one begins with ocr_.")
    if not found or not same(found[2], _checksum(key.reveal()[:-6])):
        raise Refused(
            "instance-key-invalid", "The instance key is mistyped or cut off. Copy it again."
        )
    return found[1]


def _check_name(name: str) -> None:
    wrong = names.display_name(name, longest=64)
    if wrong or name.casefold() == "default":
        wrong = wrong or "must tell a person which instance this is, so not “default”"
        raise ConfigError(f"The name {wrong}.")


def _new_key(instance_id: str) -> Secret:
    body = f"ocr_{instance_id}_" + "".join(secrets.choice(_BASE62) for _ in range(32))
    return Secret(body + _checksum(body))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _hash(key: Secret) -> str:
    # A plain hash is enough: 190 random bits cannot be tried out, unlike a password.
    return hashlib.sha256(key.reveal().encode()).hexdigest()
