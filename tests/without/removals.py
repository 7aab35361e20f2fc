"""Which protection each threat class stands for, as edits that take it out of the source.

An edit of the source reaches any line, whoever imported the function it stands in; where the source
has moved on, the edit does not fit any more and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

CAUGHT = 10  # exit status of a run that noticed it; pytest itself does not use it


@dataclass(frozen=True, slots=True)
class Edit:
    """Puts `new` in the place of `old`, which stands once in the module."""

    module: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        times = source.count(self.old)
        if times != 1:
            raise ValueError(f"{self.module} has {self.old!r} {times} times: mend this removal")
        return source.replace(self.old, self.new)


def edit(module: str, old: str, new: str) -> Edit:
    return Edit(f"opencode_relay.{module}", old, new)


ANY_PAIRING_CODE = edit(
    "keys.proofs",
    "return login.pairing_hash is not None and same(login.pairing_hash, wanted)",
    "return bool(wanted)",
)
ANY_COMPLETION_CODE = edit(
    "relay", "if same(typed, proofs.completion_code(self.keys, found)):", "if typed:"
)
ANY_HEADER = [
    edit(
        "keys.state",
        "text.removeprefix(start).removesuffix(end)",
        'json.loads(text).get("kid", "")',
    ),
    edit("keys.state", "key is None or text != _header(purpose, key.kid)", "key is None"),
]
ANY_ORIGIN = edit("web.browser", "            _same_origin(request, self.relay.issuer)\n", "")
FRAMES = edit("web.pages", "\"frame-ancestors 'none'; base-uri", '"base-uri')
NOTHING_STORED = "# Nothing is stored: only the browser has it, so it can never be collected."
NO_ISS = edit(
    "relay",
    'if found.idp_issuer is not None and params.get("iss") != found.idp_issuer:',
    "if False:",
)

PEOPLE: dict[str, dict[str, list[Edit]]] = {
    "TestAttackerOpensVictimFinishes": {
        "any pairing code is right": [ANY_PAIRING_CODE],
        "any completion code is right": [ANY_COMPLETION_CODE],
        "enrolment is open unless closed": [
            edit("settings", '"closed", _one_of(', '"open", _one_of('),
        ],
        "strangers get a pairing code": [
            edit("admission", "if instance is None or self.strict or request", "if request"),
        ],
    },
    "TestLinkHolderSignsInWithTheirOwnAccount": {
        "any pairing code is right": [ANY_PAIRING_CODE],
        "any completion code is right": [ANY_COMPLETION_CODE],
        "the callback releases": [
            edit("login", '"status": Status.HELD,', '"status": Status.RELEASED,')
        ],
        "a redirect response is kept": [
            edit(
                "relay",
                NOTHING_STORED,
                "await self.store.apply(found.id, login.release(found, now, response=sealed))",
            )
        ],
    },
    "TestLeakedKeyCollectsARedirectLogin": {
        "collecting does not look at the delivery": [
            edit(
                "relay",
                "if found.delivery is Delivery.REDIRECT:\n            detail",
                "if False:\n            detail",
            )
        ],
        "the arrival is kept": [
            edit("relay", NOTHING_STORED, "await self.store.apply(found.id, login.arrive(now))")
        ],
        "strict operators are not asked": [
            edit("admission", "if instance is None or self.strict:", "if instance is None:")
        ],
    },
    "TestAStrayCallbackKillsTheLogin": {
        "a stray callback cancels": [
            edit(
                "relay",
                'raise Refused("issuer-mismatch", login=found)',
                "await self.finish_unasked(found)",
            ),
            edit(
                "relay",
                "    async def _read(self",
                "    async def finish_unasked(self, found: Login) -> None:\n"
                "        await self.store.apply(found.id, login.cancel(found, self.now()))\n"
                '        raise Refused("issuer-mismatch", login=found)\n\n'
                "    async def _read(self",
            ),
        ],
        "HEAD acts like GET": [edit("web.app", '- {"HEAD"}', '| {"HEAD"}')],
        "a prefetch acts": [edit("web.app", 'if "prefetch" in', 'if "nothing" in')],
        "a redirect callback ends the login": [
            edit(
                "relay",
                NOTHING_STORED,
                "await self.store.apply(found.id, login.finish(found, now))",
            )
        ],
    },
}

FORMS_AND_PAGES: dict[str, dict[str, list[Edit]]] = {
    "TestConsentFormForgedOrFramed": {
        "forms of any site are taken": [ANY_ORIGIN],
        "pages can be framed": [FRAMES],
        "the token does not bind the response": [
            edit("relay", 'if not same(claims["rsp"], proofs.digest(form.sealed)):', "if False:")
        ],
        "the token's signature is not verified": [
            edit("keys.state", "if not same(signature,", "if False and not same(signature,")
        ],
        "any rendering decides": [
            edit(
                "relay",
                'found.status is wanted and same(found.rendering or "", rendering)',
                "found.status is wanted",
            )
        ],
    },
    "TestUnescapedNamesAndErrorTexts": {
        "nothing is escaped": [edit("web.pages", "autoescape=True", "autoescape=False")],
        "names are not isolated": [
            edit("web.pages", '_ISOLATED = Markup("<bdi>%s</bdi>")', '_ISOLATED = Markup("%s")')
        ],
        "the provider's words are shown": [
            edit("web.pages", 'did not work. " + happened', 'did not work. " + error')
        ],
        "anything may be loaded": [edit("web.pages", "default-src 'none'; ", "")],
        "scripts run": [
            edit("web.pages", "default-src 'none'; ", "default-src 'none'; script-src * ; ")
        ],
    },
}

ADDRESSES: dict[str, dict[str, list[Edit]]] = {
    "TestReturnAddressTakenFromTheRequest": {
        "any return URL is taken": [
            edit("admission", "if request.return_url not in instance.return_urls:", "if False:")
        ],
        "a trailing slash redirects to Host": [
            edit("web.app", "redirect_slashes=False", "redirect_slashes=True")
        ],
        "the issuer is read off Host": [
            edit("web.api", '"issuer": relay.issuer,', '"issuer": str(_.base_url)[:-1],')
        ],
    },
    "TestRedirectCheckFooledBySpelling": {
        "the beginning is compared": [
            edit(
                "admission",
                "if request.return_url not in instance.return_urls:",
                "if not str(request.return_url).startswith(instance.return_urls):",
            )
        ],
        "case is not compared": [
            edit(
                "admission",
                "if request.return_url not in instance.return_urls:",
                "if str(request.return_url).lower() not in instance.return_urls:",
            )
        ],
        "any path is registered": [
            edit("addresses", "not _PATH.fullmatch(rest)", "not rest.startswith('/')")
        ],
        "dot segments are registered": [
            edit("addresses", 'if "//" in rest or any', "if False and any")
        ],
        "any spelling of a host is registered": [
            edit("addresses", "if not _canonical_host(host):", "if False:")
        ],
        "any port is registered": [edit("addresses", "if port and (int", "if False and (int")],
        "http is registered": [
            edit("addresses", 'if scheme == "http" and not', "if False and not")
        ],
    },
}

TOKENS: dict[str, dict[str, list[Edit]]] = {
    "TestOneKeyManyPurposes": {
        "a key serves every purpose": [
            edit("keys.ring", "if k.purpose is purpose and k.kid == kid", "if k.kid == kid")
        ],
        "the state's typ is not checked": ANY_HEADER,
        "the state's aud is not checked": [
            edit("keys.state", ' or claims["aud"] != _AUD[purpose]:', ":"),
        ],
        "the state's iss is not checked": [
            edit("keys.state", 'claims["iss"] != issuer or ', ""),
        ],
        "the state's alg is not pinned": [
            *ANY_HEADER,
            edit("keys.state", "([A-Za-z0-9_-]{43})", "([A-Za-z0-9_-]+)"),
            edit(
                "keys.state",
                'if not same(signature, _signature(key.symmetric, f"{header}.{payload}")):',
                "made = [hmac.digest(key.symmetric, f'{header}.{payload}'.encode(), a)"
                " for a in ('sha256', 'sha384', 'sha512')]\n"
                "    if signature not in map(base64url, made):",
            ),
        ],
        "the response's typ is not checked": [
            edit("response", 'if inner.get("typ") != TYP or ', "if ")
        ],
        "the response's aud is not checked": [
            edit("response", "            audience=login_id,\n", ""),
            edit("response", '"strict_aud": True', '"verify_aud": False'),
        ],
        "the response's enc is not pinned": [
            edit("response", 'header["enc"] != "A256GCM"', "False"),
            edit(
                "response",
                'private_key, algorithms=["ECDH-ES", "A256GCM"]',
                'private_key, algorithms=["ECDH-ES", "A256GCM", "A128GCM"]',
            ),
        ],
    },
    "TestMissingValueTakenAsAPass": {
        "no claim is required": [
            edit(
                "keys.state", '_REQUIRED = {"iss", "aud", "jti", "iat", "exp"}', "_REQUIRED = set()"
            ),
            edit("keys.state", 'claims["exp"]', 'claims.get("exp", now + 1)'),
        ],
        "no claim of a response is required": [
            edit("response", '"require": ["iss", "aud", "exp"]', '"require": []'),
            edit(
                "response",
                '    if not isinstance(claims["exp"]',
                '    claims.setdefault("exp", now)\n    if not isinstance(claims["exp"]',
            ),
        ],
        "a missing iss passes": [
            edit(
                "relay",
                'params.get("iss") != found.idp_issuer',
                'params.get("iss", found.idp_issuer) != found.idp_issuer',
            )
        ],
        "a missing iss passes at the instance": [
            edit(
                "response",
                'params.get("iss") != idp_issuer',
                'params.get("iss", idp_issuer) != idp_issuer',
            )
        ],
        "a form that says nothing passes": [
            edit("web.browser", "if not good or not (sites or origins):", "if not good:")
        ],
        "a callback needs no code": [
            edit("web.browser", ' or ("code" in params) == ("error" in params):', ":")
        ],
        "a wrong key counts as none": [
            edit("admission", "if key is None:", "if key is None or len(key.reveal()) < 50:")
        ],
        "an empty verifier is looked up": [
            edit("web.api", "not _VERIFIER.fullmatch(verifier.reveal())", "False")
        ],
        "a malformed code uses a try": [
            edit("web.bodies", "if not _CODE.fullmatch(typed):", "if 0:")
        ],
    },
    "TestMixUpOfIdentityProviders": {
        "iss is not compared": [NO_ISS],
        "iss is not compared at the instance": [
            edit(
                "response",
                'if idp_issuer is not None and params.get("iss") != idp_issuer:',
                "if False:",
            )
        ],
        "the last of two parameters counts": [
            edit("web.requests", "found if len(found) == len(pairs) else None", "found")
        ],
    },
}

RESPONSES: dict[str, dict[str, list[Edit]]] = {
    "TestCodeReadableInTheStoreOrTheLogs": {
        "the response is signed only": [
            edit("response", "return _encrypt(", "return signed or _encrypt(")
        ],
        "the log says what came": [
            edit(
                "relay",
                "received.page, login_id=received.login.id)",
                "received.page, login_id=received.login.id, **params)",
            )
        ],
        "the pairing code is hashed without a key": [
            edit(
                "keys.proofs",
                "return _keyed(keys, Purpose.PAIRING, login_id, opened_at, code)",
                "return digest(code)",
            )
        ],
        "what is over is kept": [
            edit("login", '{**OVER, "status": Status.DECLINED', '{"status": Status.DECLINED')
        ],
    },
    "TestCodeLostWithTheAnswer": {
        "it is given out once": [
            edit(
                "relay",
                "            return self._collected(found, pace",
                "            await self.finish(login_id, verifier)\n"
                "            return self._collected(found, pace",
            )
        ],
        "a release leaves no time": [
            edit("login", "login.expires_at < now + RELEASE_KEEPS", "not now")
        ],
    },
}

LIMITS: dict[str, dict[str, list[Edit]]] = {
    "TestRateLimitDodgedByAnotherIPv6Address": {
        "each address has a limit of its own": [
            edit(
                "addresses",
                "return str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))",
                "return str(ip)",
            )
        ],
        "an address in other clothes is another": [
            edit("addresses", "return str(ip.ipv4_mapped)", "return str(ip)")
        ],
        "headers are believed": [
            edit(
                "web.requests",
                "return request.client.host if request.client else",
                'return request.headers.get("x-forwarded-for") or request.client.host if 1 else',
            )
        ],
        "instances have no limit": [
            edit("admission", '{instance.id}", self._settings.open_limit)', '", 0)')
        ],
        "wrong codes are not counted": [
            edit("admission", "await self._store.hit(_pairing(address), self._minute())", "pass")
        ],
    },
    "TestOneCallerTiesUpEverybodysWaiting": {
        "an instance may take all places": [
            edit("doorbells", "self._owners[owner] >= max(1, self._most // SHARE)", "False")
        ],
        "a login may have many waiters": [
            edit("doorbells", "            earlier.ring()", "            pass")
        ],
        "every unknown key id is looked up": [
            edit("keys.held", "if found or now < self._looked + LOOK_AGAIN:", "if found:")
        ],
        "who leaves keeps the place": [
            edit("doorbells", "        self._waiting -= 1", "        pass")
        ],
    },
    "TestGuessing": {
        "ids are short": [edit("relay", "token_urlsafe(18)", "token_urlsafe(9)")],
        "ids are counted": [
            edit("relay", "secrets.token_urlsafe(18)", 'f"{int(time.monotonic_ns()):024}"')
        ],
        "verifiers may be short": [edit("web.api", "{43,128}", "{1,128}")],
        "the time of a comparison tells": [
            edit("secret", "hmac.compare_digest(one.encode(), other.encode())", "one == other")
        ],
        "the answer tells whose it is": [
            edit(
                "relay",
                '"There is no such login, or the verifier is not this login\'s."',
                'f"It is {found and found.status}"',
            )
        ],
        "a try is counted after it is compared": [
            edit(
                "relay",
                "tries = await self.store.count_try(login_id, self.now())",
                "tries: int | None = found.tries\n"
                "        if not same(typed, proofs.completion_code(self.keys, found)):\n"
                "            tries = await self.store.count_try(login_id, self.now())",
            )
        ],
        "tries are not limited": [edit("login", "MAX_TRIES = 5", "MAX_TRIES = 500")],
        "wrong pairing codes are not limited": [
            edit(
                "admission",
                "if limit and await self._store.count",
                "if 0 and await self._store.count",
            )
        ],
    },
}

BROWSERS: dict[str, dict[str, list[Edit]]] = {
    "TestOriginNullOfNoReferrerPages": {
        "the form is sent without a referrer": [
            edit("web.pages", 'referrer_policy="same-origin"', 'referrer_policy="no-referrer"')
        ],
        "null is taken for the relay": [
            edit("web.browser", "set(origins) <= {issuer}", 'set(origins) <= {issuer, "null"}')
        ],
    },
    "TestRedirectChainBlockedByTheIdPsFormAction": {
        "the callback redirects": [
            edit(
                "web.browser",
                "return self.pages.onward(about, address=received.address)",
                "return RedirectResponse(received.address, 303)",
            )
        ],
    },
    "TestConsentGivenToAnotherSitesPage": {
        "forms of any site are taken": [ANY_ORIGIN],
        "pages can be framed": [FRAMES],
    },
}

CONNECTIONS: dict[str, dict[str, list[Edit]]] = {
    "TestPlacesHeldByConnectionsThatSendNothing": {
        "a connection's time never begins": [
            edit(
                "machine.server",
                "super().connection_made(transport)\n        self._watch()",
                "super().connection_made(transport)",
            )
        ],
        "what comes begins the time anew": [
            edit(
                "machine.server",
                "        self._head += len(data)\n",
                "        self._head += len(data)\n        self._unwatch()\n",
            )
        ],
        "a body may take for ever": [
            edit("machine.server", "self._unwatch()  # the", "self._whole = True  # the")
        ],
        "after an answer blank lines may": [
            edit("machine.server", " and not self.cycle.response_complete", "")
        ],
        "who waits is late": [edit("machine.server", "if answering and", "if False and")],
    },
}

FILES = {
    "test_people.py": PEOPLE,
    "test_forms_and_pages.py": FORMS_AND_PAGES,
    "test_addresses.py": ADDRESSES,
    "test_tokens.py": TOKENS,
    "test_responses.py": RESPONSES,
    "test_limits.py": LIMITS,
    "test_browsers.py": BROWSERS,
    "test_connections.py": CONNECTIONS,
}


# The class must pass under this one, or being caught would mean nothing.
HARMLESS = "test_addresses.py::TestRedirectCheckFooledBySpelling: nothing is missing"


def edits_of(name: str) -> list[Edit]:
    return [] if name == HARMLESS else removals()[name]


def removals() -> dict[str, list[Edit]]:
    """Return every removal by its name, `FILE::CLASS: WHAT IS MISSING`."""
    return {
        f"{file}::{threat}: {missing}": edits
        for file, threats in FILES.items()
        for threat, ways in threats.items()
        for missing, edits in ways.items()
    }
