"""The instance's side in Python: open a login, wait for the response, open it, finish.

    with Client("https://relay.example.com", key="ocr_…") as relay:
        login = relay.open(name="my tool", provider="Example")
        … send the person to the IdP with login.state and login.redirect_uri,
        … and show them login.pairing_code
        params = relay.wait(login)
        … redeem params["code"] with your own PKCE verifier
        relay.finish(login)

`AsyncClient` is the same with `await`. Errors:

    ClientError
    ├── NotARelay        the URL is no relay that may be used, with the reason
    ├── Unreachable      no usable answer, after as many tries as the time allowed
    ├── RelayRefused     the relay refused: `status`, `code`, `detail`, `tries_left`
    └── LoginOver        the login has expired, or was declined, cancelled, or finished: `code`

A sealed response that fails a check raises `response.SealError`.
"""

from .errors import ClientError, LoginOver, NotARelay, RelayRefused, Unreachable
from .mouths import AsyncClient, Client
from .steps import OpenLogin

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "LoginOver",
    "NotARelay",
    "OpenLogin",
    "RelayRefused",
    "Unreachable",
]
