"""`sam build && sam deploy`, with nothing said, on an emulated AWS; then people sign in."""

from tests.aws.emulated.stack import RETURN_URL, SignIn, Stack


def test_doctor_finds_it_well(stack: Stack) -> None:
    assert stack.doctor() == ""


def test_by_pairing_code(stack: Stack) -> None:
    sign_in = SignIn(stack)
    done = sign_in.allow(sign_in.callback("c0de"))
    assert (done.status_code, done.headers["location"]) == (303, "/auth/done")
    assert sign_in.end() == {"code": "c0de"}


def test_by_redirect(stack: Stack) -> None:
    sign_in = SignIn(stack, return_url=RETURN_URL)
    page = sign_in.callback("c0de")
    assert RETURN_URL in page.text
    assert sign_in.brought(page) == {"code": "c0de"}
    sign_in.close()
