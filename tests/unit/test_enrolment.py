"""Enrolled instances: names, keys with a checksum, and a day for the old key."""

import re

import pytest
from opencode_relay.errors import ConfigError, Refused
from opencode_relay.instances import OLD_KEY_WORKS, Instance, instance_id_of
from opencode_relay.secret import Secret

from tests.support.clock import START

URL = "https://instance.example/cb"
OTHER = "https://other.example/cb"


def enrolled(name: str = "workshop", *urls: str) -> tuple[Instance, Secret]:
    return Instance.enrol(name, list(urls), START)


def test_a_key_can_be_found_by_secret_scanners() -> None:
    _, key = enrolled()
    assert re.fullmatch("ocr_[0-9a-z]{12}_[0-9A-Za-z]{38}", key.reveal())


def test_a_key_names_its_instance() -> None:
    instance, key = enrolled()
    assert instance_id_of(key) == instance.id


def test_a_key_is_kept_as_a_hash_only() -> None:
    instance, key = enrolled()
    secret = key.reveal().split("_")[2]
    assert secret not in str([getattr(instance, name) for name in Instance.__slots__])
    assert instance.key_hash not in repr(instance)


def test_an_instance_accepts_its_own_key_only() -> None:
    (instance, key), (_, other) = enrolled(), enrolled()
    assert instance.accepts(key, START)
    assert not instance.accepts(other, START)
    assert not instance.accepts(Secret(""), START)


def test_every_single_typo_is_told_without_a_look_up() -> None:
    key = enrolled()[1].reveal()
    for index in range(4, len(key)):
        if key[index] != "_":
            typo = key[:index] + ("0" if key[index] != "0" else "1") + key[index + 1 :]
            with pytest.raises(Refused, match="mistyped"):
                instance_id_of(Secret(typo))


def test_two_characters_changed_about_are_told() -> None:
    key = enrolled()[1].reveal()
    index = next(i for i in range(20, len(key) - 1) if key[i] != key[i + 1])
    swapped = key[:index] + key[index + 1] + key[index] + key[index + 2 :]
    with pytest.raises(Refused, match="mistyped"):
        instance_id_of(Secret(swapped))


@pytest.mark.parametrize("text", ["", "x", "sk-123", "é" * 55])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(Refused, match="not an instance key") as told:
        instance_id_of(Secret(text))
    assert told.value.code == "instance-key-invalid"


def test_a_key_cut_off_or_with_more_behind_is_no_key() -> None:
    key = enrolled()[1].reveal()
    for text in ("ocr_", "ocr_abc_def", key[:-1], key + "0", key + "\n"):
        with pytest.raises(Refused, match="cut off") as told:
            instance_id_of(Secret(text))
        assert told.value.code == "instance-key-invalid"
    with pytest.raises(Refused):
        instance_id_of(Secret(f" {key}"))


def test_the_old_key_works_for_a_day() -> None:
    instance, old = enrolled()
    changed, new = instance.with_new_key(START)
    assert OLD_KEY_WORKS == 24 * 3600
    assert changed.accepts(new, START)
    assert changed.accepts(old, START + OLD_KEY_WORKS - 1)
    assert not changed.accepts(old, START + OLD_KEY_WORKS)
    assert changed.accepts(new, START + OLD_KEY_WORKS)


def test_a_second_new_key_ends_the_first_old_one() -> None:
    instance, first = enrolled()
    changed, second = instance.with_new_key(START)
    again, third = changed.with_new_key(START)
    assert [again.accepts(key, START) for key in (first, second, third)] == [False, True, True]


def test_a_new_key_is_still_the_same_instances() -> None:
    instance, _ = enrolled()
    changed, key = instance.with_new_key(START)
    assert instance_id_of(key) == changed.id == instance.id


@pytest.mark.parametrize("name", ["default", "Default", "", " x", "a\nb", "x" * 65])
def test_a_name_that_tells_a_person_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^The name "):
        enrolled(name)


@pytest.mark.parametrize(
    "one_like_it", ["Workshop", "WORKSHOP", "\N{FULLWIDTH LATIN SMALL LETTER W}orkshop"]
)
def test_names_that_look_alike_have_one_key(one_like_it: str) -> None:
    assert enrolled(one_like_it)[0].name_key == enrolled("workshop")[0].name_key


def test_names_that_differ_have_two_keys() -> None:
    assert enrolled("workshop")[0].name_key != enrolled("work shop")[0].name_key


# Return URLs


def test_return_urls_are_kept_once_in_their_order() -> None:
    assert enrolled("x", OTHER, URL, OTHER)[0].return_urls == (OTHER, URL)


def test_a_hostile_return_url_is_refused_at_enrolment_and_later() -> None:
    with pytest.raises(ConfigError):
        enrolled("x", f"{URL}#x")
    with pytest.raises(ConfigError):
        enrolled()[0].with_return_urls([f"{URL}#x"], [])


def test_return_urls_are_added_and_dropped() -> None:
    instance, _ = enrolled("x", URL)
    assert instance.with_return_urls([OTHER, URL], []).return_urls == (URL, OTHER)
    assert instance.with_return_urls([OTHER], [URL]).return_urls == (OTHER,)
    assert instance.with_return_urls([], []) == instance


def test_what_is_not_there_cannot_be_dropped() -> None:
    with pytest.raises(ConfigError, match="is not a return URL of"):
        enrolled("x", URL)[0].with_return_urls([], [OTHER])
