"""Run canaille, an identity provider that nobody of ours wrote, with one client and one person.

Settings: PORT, HOST, CLIENT_ID, REDIRECT_URI.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from canaille import create_app
from canaille.app import models
from canaille.backends.memory.backend import MemoryBackend
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HOST = os.environ["HOST"]

config = {
    "SERVER_NAME": HOST,
    "PREFERRED_URL_SCHEME": "https",
    "SECRET_KEY": "a-key-for-tests-only",
    "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048).as_dict(private=True)]},
}
backend = MemoryBackend(config)
app = create_app(config, backend=backend)
with app.app_context():
    carol = models.User(
        user_name="carol",
        formatted_name="Carol",
        family_name="Carol",
        password="any",
        emails=["carol@example.org"],
    )
    client = models.Client(
        client_id=os.environ["CLIENT_ID"],
        client_name="opencode",
        redirect_uris=[os.environ["REDIRECT_URI"]],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    for one in (carol, client):
        backend.save(one)
    client.audience = [client]
    backend.save(client)


def under_its_name(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
    """As behind what ends TLS for it, also where it is asked whether it is up."""
    answer: Iterable[bytes] = app(environ | {"HTTP_HOST": HOST, "wsgi.url_scheme": "https"}, start)
    return answer


make_server("127.0.0.1", int(os.environ["PORT"]), under_its_name, threaded=True).serve_forever()
