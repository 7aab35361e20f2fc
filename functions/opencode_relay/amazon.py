"""Calls to AWS: how long they may take, and in which words it is told that one failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from . import __version__
from .errors import StoreUnavailable

THREADS = 32  # calls to DynamoDB at a time, of one process: boto3 blocks
# Quick failures: a function has 30 s, and a client that is told 503 tries again.
CONFIG = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=THREADS,
    # botocore's own is put together anew for each request, a tenth of the request's CPU.
    user_agent=f"opencode-relay/{__version__}",
)
# A look that fails is made again in a second: it must not take what requests retry and wait with.
LOOKS = 4  # at a time, of one process
LOOK_CONFIG = CONFIG.merge(Config(retries={"total_max_attempts": 1}, max_pool_connections=LOOKS))
_NOT_KNOWN = "AWS does not know these credentials"
_CREDENTIALS = {"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"}
_EXPIRED = "the credentials have expired"
_NONE = "there are no AWS credentials: give the process a role, or set AWS_PROFILE"
_WHY = {
    "AccessDeniedException": "the credentials' owner may not do this",
    "ResourceNotFoundException": "there is no such table in this region",
    "UnrecognizedClientException": _NOT_KNOWN,
    "InvalidSignatureException": f"{_NOT_KNOWN}, or this machine's clock is wrong",
    "ExpiredTokenException": _EXPIRED,
    "NoCredentialsError": _NONE,
    "PartialCredentialsError": _NONE,
    "CredentialRetrievalError": "who should give the credentials does not",
    "NoRegionError": "set AWS_DEFAULT_REGION to the tables' region",
    "ProfileNotFound": "there is no profile of AWS_PROFILE's name",
}


def why(wrong: BotoCoreError | ClientError | TimeoutError) -> str:
    """Name the kind of an error, and say what it means where that is known; never its own words.

    They could quote values of the request.
    """
    kind = type(wrong).__name__
    if isinstance(wrong, ClientError):
        kind = wrong.response["Error"]["Code"]
    return f"{kind}: {_WHY[kind]}" if kind in _WHY else kind


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Raises StoreUnavailable for whatever goes wrong."""
    try:
        yield
    except ClientError as wrong:
        if wrong.operation_name in _CREDENTIALS:
            service = "Who should give the credentials"
        raise StoreUnavailable(f"{service} refuses: {why(wrong)}.") from None
    except (BotoCoreError, TimeoutError) as wrong:
        raise StoreUnavailable(f"{service} cannot be reached: {why(wrong)}.") from None
    except RuntimeError as wrong:
        if "credentials" not in str(wrong):  # botocore's, of new ones that have expired already
            raise
        raise StoreUnavailable(f"{service} cannot be asked: {_EXPIRED}.") from None
