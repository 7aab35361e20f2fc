"""`serve`: its first start, its later ones, and how it ends."""

import json
import re
import signal
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from opencode_relay import __version__

from tests.support.ports import free_port
from tests.support.served import Client, MakeServed, run_here, until

PUBLIC = "--public-url=https://relay.example"
HELD = 20  # seconds that no test here waits to the end


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def discovery(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/.well-known/opencode-relay").json()
    return found


# The first start


def test_it_serves_on_loopback_under_its_own_url(serve: MakeServed) -> None:
    served = serve()
    assert served.url.startswith("http://127.0.0.1:")
    assert discovery(served.url)["issuer"] == served.url
    assert f"Its URL is {served.url}\n" in served.stdout


def test_the_first_start_keeps_the_first_instances_key(serve: MakeServed, data: Path) -> None:
    served = serve("--name=workshop")
    assert served.key.startswith("ocr_")
    assert f"“workshop”; its key is in {data / 'instance.key'}\n" in served.stdout
    assert "instances rename" not in served.stdout


def test_an_instance_that_nobody_named_can_be_renamed(serve: MakeServed, data: Path) -> None:
    rename = f"instances rename {socket.gethostname()} NAME --data {data}` changes that."
    assert rename in serve().stdout


def test_the_first_instances_key_and_return_url_go_where_they_are_told(
    serve: MakeServed, data: Path, tmp_path: Path
) -> None:
    key, url = tmp_path / "key", "https://opencode.example/auth/callback"
    named = (f"--key-file={key}", f"--return-url={url}")
    served = serve(*named)
    assert mode(key) == 0o600
    assert not (data / "instance.key").exists()
    assert "Next, " not in served.stdout
    Client(served, key.read_text().strip()).open()
    listed = [json.loads(run_here("instances", "list", "--json", f"--data={data}").stdout)]
    served.stop()
    kept = key.read_text()
    serve(*named)
    listed.append(json.loads(run_here("instances", "list", "--json", f"--data={data}").stdout))
    assert [one["return_urls"] for [one] in listed] == [[url], [url]]
    assert key.read_text() == kept


def test_it_says_how_to_connect_until_the_key_was_used(serve: MakeServed, data: Path) -> None:
    for _ in range(2):
        served = serve(PUBLIC)
        [line] = re.findall("^Next, .*: `(.*)`$", served.stdout, re.MULTILINE)
        assert line.endswith(
            f"opencode-relay connect https://relay.example --key-file {data / 'instance.key'}"
        )
        served.stop()
    third = serve(PUBLIC)
    Client(third, third.key).open()
    third.stop()
    assert "Next, " not in serve(PUBLIC).stdout


def test_its_key_opens_logins(serve: MakeServed) -> None:
    served = serve()
    Client(served, served.key).open()
    assert Client(served, None).post().status_code == 401


def test_everything_it_writes_is_for_its_owner_only(serve: MakeServed, data: Path) -> None:
    serve()
    assert mode(data) == 0o700
    modes = {path.name: mode(path) for path in data.iterdir()}
    names = {"instance.key", "keys.json", "keys.lock", "url"}
    names |= {"relay.db", "relay.db-shm", "relay.db-wal"}
    assert modes == dict.fromkeys(names, 0o600)


def test_its_key_is_printed_nowhere(serve: MakeServed) -> None:
    served = serve()
    Client(served, served.key).open()
    assert served.stop() == 0
    assert "ocr_" in served.key
    assert "ocr_" not in served.stdout + served.stderr


def test_the_first_instance_is_named_after_the_host(serve: MakeServed) -> None:
    assert f"“{socket.gethostname()}”" in serve().stdout


def test_its_log_is_one_json_object_a_line(serve: MakeServed) -> None:
    served = serve()
    login = Client(served, served.key).open()
    [opened] = until(lambda: [e for e in served.events if e["event"] == "opened"], "a line")
    assert opened["login_id"] == login["login_id"]
    assert {"time", "level"} < set(opened)


def test_a_misspelt_setting_is_warned_of(serve: MakeServed) -> None:
    served = serve(RELAY_OPEN_LIMITS="1")
    assert [e["name"] for e in served.events if e["event"] == "setting_unknown"] == [
        "RELAY_OPEN_LIMITS"
    ]


def test_settings_come_from_the_environment_and_flags_win(serve: MakeServed) -> None:
    found = discovery(serve("--enrolment=open", RELAY_ENROLMENT="closed", RELAY_MAX_WAIT="7").url)
    assert (found["enrolment"], found["max_wait"], found["version"]) == ("open", 7, __version__)


def test_a_public_url_is_the_issuer(serve: MakeServed) -> None:
    served = serve(PUBLIC)
    assert discovery(served.url)["issuer"] == "https://relay.example"


# Later starts


def test_a_second_start_enrols_nobody_and_keeps_the_key(serve: MakeServed) -> None:
    first = serve()
    key = first.key
    assert first.stop() == 0
    second = serve()
    assert "Enrolled" not in second.stdout
    assert second.key == key
    Client(second, key).open()


def test_without_that_file_a_known_relay_enrols_nobody_either(
    serve: MakeServed, data: Path
) -> None:
    serve().stop()
    (data / "instance.key").unlink()
    assert "Enrolled" not in serve().stdout
    assert not (data / "instance.key").exists()


def test_a_login_survives_kill_9(serve: MakeServed) -> None:
    first = serve(PUBLIC)
    client = Client(first, first.key)
    login = client.open()
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    second = serve(PUBLIC)
    query = {"state": login["state"], "error": "access_denied"}
    assert httpx.get(f"{second.url}/auth/callback", params=query).status_code == 200
    assert client.collect(login, url=second.url).json()["status"] == "released"


def test_two_processes_share_a_directory(serve: MakeServed) -> None:
    """Another process's callback wakes the waiter: `serve` takes up changes within 2 seconds."""
    one, two = serve(PUBLIC), serve(PUBLIC)
    client = Client(one, one.key)
    login = client.open()
    answers: list[httpx.Response] = []
    waiter = threading.Thread(target=lambda: answers.append(client.collect(login, HELD)))
    waiter.start()
    query = {"state": login["state"], "error": "access_denied"}
    assert httpx.get(f"{two.url}/auth/callback", params=query).status_code == 200
    waiter.join()
    assert answers[0].json()["status"] == "released"


def test_files_that_were_restored_for_everybody_are_closed_and_told(
    serve: MakeServed, data: Path
) -> None:
    serve().stop()
    names = {"instance.key", "keys.json", "keys.lock", "relay.db", "url"}
    for name in names:
        (data / name).chmod(0o644)
    second = serve()
    assert {mode(path) for path in data.iterdir()} == {0o600}
    told = [e for e in second.events if e["event"] == "mode_repaired"]
    assert {(e["level"], e["file"], e["mode"]) for e in told} == {
        ("warning", str(data / name), "0644") for name in names
    }


# The end


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_ends_well(serve: MakeServed, how: signal.Signals) -> None:
    served = serve()
    assert served.stop(how) == 0
    assert "Traceback" not in served.stderr


def test_who_waits_is_sent_home_before_it_ends(serve: MakeServed) -> None:
    served = serve(RELAY_METRICS_PORT=str(port := free_port()))
    client = Client(served, served.key)
    login = client.open()
    answers: list[httpx.Response] = []
    waiter = threading.Thread(target=lambda: answers.append(client.collect(login, HELD)))
    waiter.start()
    until(lambda: "opencode_relay_waiting 1.0" in metrics(port), "waiting")
    assert served.stop() == 0
    waiter.join()
    assert (answers[0].status_code, answers[0].json()) == (202, {"status": "pending"})


# A Unix socket


def test_on_a_unix_socket_it_serves_and_ends(serve: MakeServed, tmp_path: Path) -> None:
    path = tmp_path / "relay.sock"
    served = serve(f"--host=unix:{path}", PUBLIC)
    assert mode(path) == 0o660
    with served.http() as http:
        assert http.get("/healthz").status_code == 200
    assert served.stop() == 0
    assert not path.exists()


def test_there_it_needs_its_public_url(tmp_path: Path, data: Path) -> None:
    done = run_here("serve", f"--host=unix:{tmp_path / 'relay.sock'}", f"--data={data}")
    assert done.returncode == 1
    assert "--public-url" in done.stderr
    assert not (tmp_path / "relay.sock").exists()


# Metrics


def metrics(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics").text


def test_metrics_have_a_port_of_their_own(serve: MakeServed) -> None:
    served = serve(RELAY_METRICS_PORT=str(port := free_port()))
    Client(served, served.key).open()
    wanted = 'opencode_relay_events_total{event="opened",outcome="pairing_code"} 1.0'
    assert wanted in metrics(port)
    assert httpx.get(f"{served.url}/metrics").status_code == 404
