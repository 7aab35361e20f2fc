"""Discovery, the JWKS and the health check."""

import pytest
from joserfc.jwk import ECKey
from opencode_relay import __version__
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import HEAD_START
from opencode_relay.login import Confirmation

from tests.support.clock import Clock
from tests.support.wire import ISSUER, MakeWire, Wire, check_problem

CLIENT_ID = f"{ISSUER}/oauth/client"
CLIENTS = ({"issuer": "https://idp.example", "client_id": "opencode"},)


async def discovery(wire: Wire) -> dict[str, object]:
    answer = await wire.http.get("/.well-known/opencode-relay")
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


async def test_discovery_says_all_that_the_protocol_lists(make_wire: MakeWire) -> None:
    wire = make_wire(registered_clients=CLIENTS, max_wait=7, login_lifetime=300)
    assert await discovery(wire) == {
        "protocol": 1,
        "issuer": ISSUER,
        "redirect_uri": f"{ISSUER}/auth/callback",
        "logins_endpoint": f"{ISSUER}/v1/logins",
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "enrolment": "closed",
        "deliveries_supported": ["poll", "redirect"],
        "confirmations_supported": ["pairing_code", "completion_code"],
        "max_wait": 7,
        "login_lifetime": 300,
        "response_signing_alg_values_supported": ["ES256"],
        "response_encryption_alg_values_supported": ["ECDH-ES"],
        "response_encryption_enc_values_supported": ["A256GCM"],
        "registered_clients": list(CLIENTS),
        "client_metadata_uri": CLIENT_ID,
        "version": __version__,
    }


async def test_discovery_says_when_enrolment_is_open(open_wire: Wire) -> None:
    assert (await discovery(open_wire))["enrolment"] == "open"


async def test_a_demanded_completion_code_is_the_only_way_offered(make_wire: MakeWire) -> None:
    found = await discovery(make_wire(confirmation=Confirmation.COMPLETION_CODE))
    assert found["deliveries_supported"] == ["poll"]
    assert found["confirmations_supported"] == ["completion_code"]


@pytest.mark.parametrize(
    "path", ["/.well-known/opencode-relay", "/.well-known/jwks.json", "/oauth/client"]
)
async def test_what_never_changes_much_may_be_cached_five_minutes(wire: Wire, path: str) -> None:
    answer = await wire.http.get(path)
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_discovery_does_not_believe_the_host_header(wire: Wire) -> None:
    answer = await wire.http.get("/.well-known/opencode-relay", headers={"Host": "evil.example"})
    assert "evil.example" not in answer.text


async def test_the_clients_metadata_is_what_the_draft_asks_for(wire: Wire) -> None:
    """A client ID that is the document's own URL, no secret, less than 5 kB, status 200 itself."""
    answer = await wire.http.get("/oauth/client", headers={"Host": "evil.example"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.content) < 5000
    assert answer.json() == {
        "client_id": CLIENT_ID,
        "client_name": "opencode (via relay)",
        "client_uri": ISSUER,
        "redirect_uris": [f"{ISSUER}/auth/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


async def test_without_https_there_is_no_clients_metadata(make_wire: MakeWire) -> None:
    url = "http://127.0.0.1:8787"
    wire = make_wire(public_url=url)
    assert "client_metadata_uri" not in await discovery(wire)
    answer = await wire.http.get("/oauth/client")
    assert (answer.status_code, answer.json()["type"]) == (404, f"{url}/problems/not-found")


async def jwks(wire: Wire) -> list[dict[str, str]]:
    answer = await wire.http.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    keys: list[dict[str, str]] = answer.json()["keys"]
    return keys


async def test_the_jwks_holds_public_signing_keys_only(wire: Wire) -> None:
    [key] = await jwks(wire)
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert not ECKey.import_key(dict(key)).is_private


async def test_a_new_key_is_published_before_it_is_used(wire: Wire, clock: Clock) -> None:
    [old] = await jwks(wire)
    wire.keyfile.rotate()
    wire.keys.refresh()
    kids = [key["kid"] for key in await jwks(wire)]
    assert (len(kids), kids[0]) == (2, old["kid"])
    clock.advance(HEAD_START - 1)
    assert wire.keys.ring.in_use(Purpose.RESPONSE, clock()).kid == old["kid"]
    clock.advance(1)
    assert wire.keys.ring.in_use(Purpose.RESPONSE, clock()).kid == kids[1]


async def test_health_is_ok(wire: Wire) -> None:
    answer = await wire.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": __version__})
    assert answer.headers["cache-control"] == "no-store"


async def test_health_reads_the_store(wire: Wire) -> None:
    wire.store.close()
    answer = await wire.http.get("/healthz")
    check_problem(answer, 503, "unavailable")


async def test_health_reads_the_keys(wire: Wire, clock: Clock) -> None:
    await wire.http.get("/healthz")
    wire.keyfile.path.write_text("damaged")
    clock.advance(60)  # strangers may ask as often as they like
    check_problem(await wire.http.get("/healthz"), 503, "unavailable")


async def test_health_reads_the_keys_once_a_minute_at_most(wire: Wire, clock: Clock) -> None:
    await wire.http.get("/healthz")
    wire.keyfile.path.write_text("damaged")
    clock.advance(59)
    assert (await wire.http.get("/healthz")).status_code == 200
