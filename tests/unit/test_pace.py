"""The pace for instances that are not made to wait."""

import pytest
from opencode_relay.login import Confirmation, Delivery, Login, Status
from opencode_relay.pace import SLOWEST, retry_after


def login(arrived_at: float | None = None) -> Login:
    return Login(
        id="x",
        status=Status.PENDING,
        delivery=Delivery.POLL,
        confirmation=Confirmation.PAIRING_CODE,
        collect_challenge=None,
        encryption_key=None,
        opened_at=1000.5,
        opened_from=None,
        expires_at=1600,
        arrived_at=arrived_at,
    )


@pytest.mark.parametrize(
    ("age", "seconds"),
    [(0, 8), (8, 8), (35, 8), (36, 9), (60, 15), (119, 29), (120, 30), (599, 30)],
)
def test_before_a_browser_came_it_grows_with_the_logins_age(age: float, seconds: int) -> None:
    assert retry_after(login(), 1000.5 + age) == seconds


@pytest.mark.parametrize(
    ("since", "seconds"), [(0, 1), (15.9, 1), (16, 2), (24, 3), (80, 10), (240, 30), (599, 30)]
)
def test_once_one_came_it_is_quick_for_as_long_as_typing_takes(since: float, seconds: int) -> None:
    assert retry_after(login(1300), 1300 + since) == seconds


@pytest.mark.parametrize("arrived_at", [None, 2000])
def test_a_clock_that_went_back_is_no_reason_to_hurry_or_to_stay_away(
    arrived_at: float | None,
) -> None:
    assert 1 <= retry_after(login(arrived_at), 0) <= SLOWEST
