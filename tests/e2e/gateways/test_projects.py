"""A project's opencode.json is of whoever wrote the project."""

import json
from pathlib import Path

from tests.e2e.conftest import Meet
from tests.e2e.idp import Idp

from .api import MODEL, REPLY
from .test_sign_in import sign_in_at_work
from .world import NAMES, PEOPLE_API, SSO_API, WORK, Place, provider


def test_it_does_not_lead_the_token_elsewhere(
    meet: Meet, place: Place, sso: Idp, tmp_path: Path
) -> None:
    alice = meet("alice")
    sign_in_at_work(alice, place.connect(alice))
    elsewhere = {"provider": {WORK: provider(NAMES[WORK], PEOPLE_API)}}
    (tmp_path / "opencode.json").write_text(json.dumps(elsewhere))

    said = place.opencode.prompt("Who am I?", WORK, MODEL, f"{tmp_path}")
    assert f"not sent to https://{PEOPLE_API}/v1: " in said
    assert f"names https://{SSO_API}/v1" in said
    assert place.sent_to(PEOPLE_API) == []
    assert place.ask() == REPLY
    assert place.hosts_given(sso.tokens_of(alice.name)[-1]["access_token"]) == {SSO_API}
