"""What the containers of infra/compose.yaml are and may do, without anybody who signs in."""

import pytest

from .engine import Engine
from .services import RELAY, SERVICES, Services

OURS = ("relay", "opencode")
OURS_BY = pytest.mark.parametrize("service", OURS)
HEALTHY = ("env", "BUN_BE_BUN=1", "opencode", "/opt/opencode-relay/healthy.js")


def test_a_second_up_changes_nothing(services: Services) -> None:
    def state() -> list[object]:
        running = [services.inspect(one, "{{.Id}} {{.State.StartedAt}}") for one in SERVICES]
        return [*running, services.key, services.instances()]

    before = state()
    services.up()
    assert state() == before


@OURS_BY
def test_it_is_nobody_and_writes_nowhere_but_into_its_volumes(
    services: Services, service: str
) -> None:
    assert services.execute(service, "id", "-u") == "10001"
    assert "CapEff:\t0000000000000000" in services.execute(service, "cat", "/proc/1/status")
    assert "NoNewPrivs:\t1" in services.execute(service, "cat", "/proc/1/status")
    for folder in ("/", "/etc", "/opt/opencode-relay"):
        with pytest.raises(AssertionError, match="Read-only file system"):
            services.execute(service, "touch", f"{folder}/x")


def test_the_key_is_for_the_two_alone_and_opencode_only_reads_it(services: Services) -> None:
    assert services.execute("relay", "stat", "-c", "%a %u", "/instance/key") == "600 10001"
    assert services.execute("relay", "stat", "-c", "%a", "/instance") == "700"
    assert services.execute("opencode", "cat", "/instance/key") == services.key
    with pytest.raises(AssertionError, match="Read-only file system"):
        services.execute("opencode", "touch", "/instance/key")
    with pytest.raises(AssertionError, match="No such file"):
        services.execute("opencode", "ls", "/data")


@OURS_BY
def test_the_health_check_passes(services: Services, service: str) -> None:
    services.engine.podman("healthcheck", "run", services.container(service))


def test_the_health_check_fails_where_nothing_works(services: Services) -> None:
    with pytest.raises(AssertionError, match="No relay answers"):
        services.execute("relay", "opencode-relay", "healthy")  # it has no port
    services.execute("opencode", *HEALTHY)
    with pytest.raises(AssertionError):
        services.execute("opencode", "env", "OPENCODE_SERVER_PASSWORD=wrong", *HEALTHY)


@OURS_BY
def test_sigterm_ends_it_and_what_cannot_be_answered_is_logged_without_its_query(
    services: Services, service: str
) -> None:
    services.engine.podman("stop", "--time", 20, services.container(service))
    try:
        code = services.inspect(service, "{{.State.ExitCode}}")
        assert code == "0" if service == "relay" else code != "137"
        host = RELAY if service == "relay" else services.host
        asked = services.get(host, f"auth/callback?code=a-code-for-{service}")
        assert asked.status_code == 502
    finally:
        services.engine.podman("start", services.container(service))
        services.ready()
    log = services.log("caddy")
    assert '"uri":"/auth/callback?"' in log
    assert f"a-code-for-{service}" not in log
    assert '"headers"' not in log


def test_only_caddy_has_a_way_to_the_relay(services: Services) -> None:
    assert services.inspect("relay", "{{.HostConfig.NetworkMode}}") == "none"
    published = [one for one in SERVICES if services.engine.podman("port", services.container(one))]
    assert published == ["caddy"]


@pytest.mark.parametrize("image", ["opencode-relay", "opencode-with-relay"])
def test_an_image_has_nothing_of_a_relay_that_ran(engine: Engine, image: str) -> None:
    script = "find /data /instance /home/opencode/.local -type f 2>/dev/null; true"
    ran = ("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", script)
    assert engine.podman(*ran) == ""
    told = engine.podman("image", "inspect", image, "--format", "{{.Config.Env}}")
    assert not any(word in told for word in ("KEY", "PASSWORD", "TOKEN"))
