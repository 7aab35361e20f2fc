"""What the plugin's two paths refuse, and that no refusal harms a login under way."""

import httpx

from .conftest import Meet
from .idp import Idp
from .outcome import never_signed_in, signed_in
from .person import says
from .processes import wait_until
from .sites import Site, behind

HOSTILE = "\"'></p><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@behind("nginx-configured", "caddy-auto")
def test_wrong_browser(meet: Meet, site: Site, open_idp: Idp) -> None:
    """Whoever gets hold of a response cannot use it, nor make another's browser take up theirs."""
    alice, mallory = meet("alice"), meet("mallory")
    dialog = alice.connect(site.url)
    back = alice.bring_back(dialog.follow(), site.url)

    says(mallory.open(back), "Not the browser that began")
    mallory.connect(site.url).follow()  # so that she has a cookie, of another value
    says(mallory.open(back), "Not the browser that began")
    assert site.get(httpx.URL(back).raw_path.decode()).status_code == 403
    assert site.opencode.account() is None

    says(alice.open(back), "Signed in")
    dialog.closes_connected()
    signed_in(alice, site.opencode, open_idp)
    never_signed_in(mallory, site.opencode, open_idp)


@behind("nginx-auto")
def test_no_ticket_a_strangers_ticket_and_one_used_twice(
    meet: Meet, site: Site, open_idp: Idp
) -> None:
    for query in ("", "?ticket=", f"?ticket={'A' * 43}", "?ticket=x&ticket=y"):
        refused = site.get(f"/auth/start{query}", sec_fetch_site="same-origin")
        assert refused.status_code == 404, query
        assert "set-cookie" not in refused.headers
        assert "location" not in refused.headers

    alice, mallory = meet("alice"), meet("mallory")
    dialog = alice.connect(site.url)
    ticket = site.url + dialog.link
    page = dialog.follow()
    alice.sign_in(page)
    says(mallory.open(ticket), "This link does not work")
    assert "__Host-opencode-relay" not in str(mallory.browser.cookies())

    alice.come_back(page, site.url)
    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp)
    says(alice.open(ticket), "This link does not work")


@behind("nginx-auto")
def test_response_replayed(meet: Meet, site: Site, open_idp: Idp) -> None:
    alice, mallory = meet("alice"), meet("mallory")
    page = alice.connect(site.url).follow()
    alice.sign_in(page)
    back = alice.bring_back(alice.connect(site.url).follow(), site.url)
    says(alice.open(back), "Signed in")
    signed_in(alice, site.opencode, open_idp)
    says(alice.open(back), "Signed in")  # to a reload, or a tab restored, the same is said again
    says(mallory.open(back), "This sign-in is over")
    signed_in(alice, site.opencode, open_idp)

    # Nor does it, or anything made up, do harm to the other login of this browser.
    for made_up in ("response=x", "response=", "code=x&state=y", back.split("?")[1] * 2):
        says(alice.open(f"{site.url}/auth/callback?{made_up}"), "This answer cannot be used")
    alice.come_back(page, site.url)
    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp, logins=2)


@behind("nginx-auto")
def test_access_denied_by_the_identity_provider(meet: Meet, site: Site, open_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(site.url)
    page = dialog.follow()
    alice.sign_in(page)
    page.get_by_role("link", name="Cancel").click()

    says(page, "Not signed in")
    dialog.fails()
    never_signed_in(alice, site.opencode, open_idp)
    site.opencode.until_log_says(f"{open_idp.issuer} answered access_denied")


@behind("nginx-auto")
def test_hostile_error_description(meet: Meet, site: Site, open_idp: Idp) -> None:
    """These pages stand on opencode's own origin, where a script would have its password."""
    alice = meet("alice")
    dialog = alice.connect(site.url)
    with alice.browser.expect_event("request", lambda one: "/oauth/authorize?" in one.url) as sent:
        page = dialog.follow()
    request = httpx.URL(sent.value.url).params
    hostile = {"error": HOSTILE, "error_description": HOSTILE, "error_uri": HOSTILE}
    answer = {"state": request["state"], "iss": open_idp.issuer, **hostile}
    page.goto(str(httpx.URL(request["redirect_uri"], params=answer)))

    page.wait_for_url(f"{site.url}/auth/callback?**")
    says(page, "Not signed in")
    assert "owned" not in page.content()
    assert page.locator("script, img").count() == 0
    dialog.fails()
    never_signed_in(alice, site.opencode, open_idp)


@behind("nginx-auto", "caddy-auto", "traefik-auto")
def test_forged_host_gains_nothing(meet: Meet, site: Site, open_idp: Idp) -> None:
    """The relay sends browsers only to return URLs that its operator registered."""
    alice = meet("alice")
    dialog = alice.connect(site.url)
    asked = site.get(dialog.link, x_forwarded_host="evil.example")
    assert asked.status_code == 200
    assert "evil.example" not in asked.text

    # Past the proxy, which would not let it through.
    listener = f"http://127.0.0.1:{site.front.listener}"
    forged = {
        "Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Sec-Fetch-Site": "same-origin",
    }
    refused = httpx.get(listener + dialog.link, headers=forged)
    assert refused.status_code == 403
    assert "--return-url https://evil.example/auth/callback" in refused.text
    assert not {"location", "set-cookie"} & set(refused.headers)
    wait_until(lambda: site.opencode.log_says("opencode-relay instances update"), "it is logged")

    page = dialog.follow()
    alice.come_back(page, site.url)
    signed_in(alice, site.opencode, open_idp)


@behind("nginx-auto", "caddy-auto", "traefik-auto")
def test_opencodes_password_guards_the_rest_and_stays_its_own(site: Site) -> None:
    for path in ("/", "/auth/openai", "/provider/auth", "/auth/start/", "/auth/callback/x"):
        assert site.get(path).status_code == 401, path
    for path in ("/auth/start", "/auth/callback"):
        sent = site.get(path, authorization="Basic b3BlbmNvZGU6eA==")
        assert sent.headers["opencode-relay"] == "instance"
        assert "opencode-relay-authorization" not in sent.headers
