"""What stands before a relay on AWS, and who pretends to."""

from hashlib import sha256
from typing import Any

from opencode_relay.aws.front import Front

SECRET = "a-secret-of-the-front"
OTHERS = "130.176.0.9"  # CloudFront's, and any customer's of it


def event(**headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"headers": named, "requestContext": {"http": {"sourceIp": OTHERS}}}


class TestAStrangersOwnFront:
    """Whoever has a CloudFront can put it before another's API, or go there without one."""

    def front(self) -> Front:
        return Front(sha256(SECRET.encode()).hexdigest())

    def test_who_does_not_know_the_secret_gets_no_answer(self) -> None:
        lies = {"cloudfront_viewer_address": "192.0.2.1:1", "x_forwarded_for": "192.0.2.1"}
        assert not self.front().passes(event(**lies))
        assert not self.front().passes(event(**lies, x_relay_front="guessed"))
        assert not self.front().passes(event(**lies, x_relay_front=""))

    def test_the_callers_address_is_the_one_that_the_front_names(self) -> None:
        asked = event(
            x_relay_front=SECRET,
            cloudfront_viewer_address="198.51.100.10:4",
            x_forwarded_for=f"192.0.2.1, 198.51.100.10, {OTHERS}",
        )
        assert self.front().passes(asked)
        assert asked["requestContext"]["http"]["sourceIp"] == "198.51.100.10"
        assert SECRET not in str(asked)

    def test_where_none_stands_its_words_are_nobodys(self) -> None:
        asked = event(x_relay_front=SECRET, cloudfront_viewer_address="192.0.2.1:1")
        assert Front("").passes(asked)
        assert asked["requestContext"]["http"]["sourceIp"] == OTHERS
