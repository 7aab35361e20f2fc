"""Every page of the relay, by name, and what a browser would read in it."""

from collections.abc import Callable
from html.parser import HTMLParser

from opencode_relay.web.pages import About, Pages
from opencode_relay.web.sentences import Refusal
from starlette.responses import HTMLResponse

OPENED_AT = 1_763_800_440.0  # 22 November 2025, 08:34 UTC
ABOUT = About(
    registered_name="workshop-server",
    calls_itself="Ana's box",
    provider="Example ID",
    opened_at=OPENED_AT,
    opened_from="203.0.113.7",
    good_until=OPENED_AT + 600,
)
REPOSITORY = "https://code.example/our/relay"
ADDRESS = "https://host.example/auth/callback?response=eyJ.a&b=\"c'd&amp;<e>&lt;"

Show = Callable[[Pages, About], HTMLResponse]


def refusing(reason: Refusal, *, alone: bool = False) -> Show:
    return lambda pages, about: pages.refusal(reason, about=None if alone else about)


SHOWS: dict[str, Show] = {
    "confirm": lambda pages, about: pages.confirm(about, response="eyJ.sealed", token="t.k"),
    "wrong-code": lambda pages, about: pages.confirm(
        about, response="eyJ.sealed", token="t.k", wrong_code=True
    ),
    "completion": lambda pages, about: pages.completion(about, completion_code="KTRW-9F2D"),
    "onward": lambda pages, about: pages.onward(about, address=ADDRESS),
    "idp-error": lambda pages, about: pages.idp_error(about, error="access_denied"),
    "idp-unknown": lambda pages, about: pages.idp_error(about, error="<b>odd"),
    "landing": lambda *_: Pages(repository=REPOSITORY).landing(),
    "landing-alone": lambda *_: Pages(repository="").landing(),
    "done": lambda pages, _: pages.done(),
    "declined": lambda pages, _: pages.declined(),
    **{f"refusal-{reason.name}": refusing(reason) for reason in Refusal},
    **{f"refusal-{reason.name}-alone": refusing(reason, alone=True) for reason in Refusal},
}
WITH_FORM = {"confirm", "wrong-code"}


class Html(HTMLParser):
    """What a browser would read: every tag with its attributes, and all text by element."""

    def __init__(self, response: HTMLResponse) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.isolated: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._texts: dict[str, str] = {}
        self.feed(bytes(response.body).decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in <{tag}>"
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self._open.append(tag)
        if tag == "bdi":
            self.isolated.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        self._texts[inside] = self._texts.get(inside, "") + data
        if "bdi" in self._open:
            self.isolated[-1] += data
        if inside not in {"style", "title"}:
            self.text += data

    def of(self, tag: str) -> str:
        return self._texts[tag]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def field(self, name: str) -> dict[str, str | None]:
        (found,) = [a for a in self.attributes("input") if a.get("name") == name]
        return found


def pages_at(now: float = OPENED_AT + 200) -> Pages:
    return Pages(clock=lambda: now)


def html(name: str, about: About = ABOUT) -> Html:
    return Html(SHOWS[name](pages_at(), about))


def about(
    registered_name: str | None = "workshop-server",
    calls_itself: str | None = None,
    provider: str | None = "Example ID",
    opened_from: str = "203.0.113.7",
    good_until: float | None = OPENED_AT + 600,
) -> About:
    return About(registered_name, calls_itself, provider, OPENED_AT, opened_from, good_until)
