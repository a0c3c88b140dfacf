"""Who is let in: hosts, origins, tokens, cookies, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from starlette.testclient import TestClient, WebSocketDenialResponse

from micromimic.workstation import access
from micromimic.workstation.access import MAX_JSON_BYTES
from micromimic.workstation.settings import Settings

from ..web_site import API, BASE, SOCKET, Site, running_site

pytestmark = pytest.mark.needs("web")
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("open")) as site:
        yield site


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("guarded")
    with running_site(folder, host="0.0.0.0", token=TOKEN) as site:
        yield site


def fresh(site: Site, base: str = BASE) -> TestClient:
    """A browser that has not been here."""
    return TestClient(site.app, base_url=base, raise_server_exceptions=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8420", "localhost", "LOCALHOST:1", "[::1]:8420"])
def test_names_of_this_machine(site: Site, host: str) -> None:
    assert site.client.get(f"{API}/subjects", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example:8420",
        "localhost.evil.example",
        "10.0.0.7:8420",
        "0.0.0.0:8420",
        "evil.example@127.0.0.1",
        "127.0.0.1#evil.example",
        "[::1",
        "",
    ],
)
def test_other_names_are_dns_rebinding(site: Site, host: str) -> None:
    for path in ("/", f"{API}/subjects", "/static/app.js"):
        answer = site.client.get(path, headers={"Host": host})
        assert answer.status_code == 403, path
        assert answer.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://127.0.0.1:8420"}, 201),
        ({"Origin": "http://127.0.0.1:8420", "Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "http://localhost:8420"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "file://"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_changes_come_from_our_own_pages(site: Site, headers: dict[str, str], status: int) -> None:
    before = len(site.get("/subjects")["subjects"])
    code = f"P{before}"
    answer = site.client.post(f"{API}/subjects", json={"code": code}, headers=headers)
    assert answer.status_code == status
    assert len(site.get("/subjects")["subjects"]) == before + (status == 201)


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_every_changing_method_is_looked_at(site: Site, method: str) -> None:
    answer = site.client.request(
        method, f"{API}/subjects/{'0' * 32}", headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403


def test_reading_from_elsewhere_gives_no_permission_to_scripts(site: Site) -> None:
    answer = site.client.get(f"{API}/subjects", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_websockets_of_other_pages_are_refused(site: Site) -> None:
    own = {"Host": "127.0.0.1:8420"}
    with site.client.websocket_connect(SOCKET, headers={**own, "Origin": BASE}) as socket:
        socket.send_text("nonsense")
        assert socket.receive_json()["type"] == "error"  # it was let in
    for headers in (
        {**own, "Origin": "https://evil.example"},
        {**own, "Origin": "http://127.0.0.1:3000"},
        {**own, "Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            site.client.websocket_connect(SOCKET, headers=headers),
        ):
            pass
        assert refused.value.status_code == 403


@pytest.mark.parametrize(
    "path", ["/", "/about", "/static/base.css", f"{API}/info", f"{API}/nothing", "/nothing"]
)
def test_headers_of_every_answer(site: Site, path: str) -> None:
    headers = site.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    wanted = "no-store" if path.startswith(API) else "no-cache"
    assert headers["cache-control"] == wanted


def test_refusals_carry_the_headers_too(site: Site, guarded: Site) -> None:
    for answer in (
        site.client.get("/", headers={"Host": "evil.example"}),
        fresh(guarded).get(f"{API}/subjects"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/about", "/static/app.js", "/static/palette.css"])
def test_without_the_token_nothing_is_shown(guarded: Site, path: str) -> None:
    answer = fresh(guarded).get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_every_route_of_the_api_wants_the_token(guarded: Site) -> None:
    description = guarded.app.openapi()
    assert len(description["paths"]) > 20
    for path, methods in description["paths"].items():
        where = path.replace("{", "").replace("}", "")
        for method in methods:
            answer = fresh(guarded).request(method, where)
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] == "unauthorized"
    assert fresh(guarded).get(f"{API}/openapi.json").status_code == 401


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN]
)
def test_wrong_tokens(guarded: Site, given: str) -> None:
    answer = fresh(guarded).get(f"{API}/subjects", headers={"Authorization": given})
    assert answer.status_code == 401


def test_the_token_in_a_header(guarded: Site) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}", "Host": "lab.example:8420"}
        assert fresh(guarded).get(f"{API}/subjects", headers=headers).status_code == 200


def test_the_link_sets_a_cookie_and_cleans_the_address(guarded: Site) -> None:
    browser = fresh(guarded, "http://lab.example:8420")
    answer = browser.get(f"/?token={TOKEN}&x=1", follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/?x=1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
    assert browser.get("/").status_code == 200
    assert browser.get(f"{API}/subjects").status_code == 200
    own = {"Origin": "http://lab.example:8420"}
    assert browser.post(f"{API}/subjects", json={"code": "L1"}, headers=own).status_code == 201
    other = {"Origin": "http://evil.example"}
    assert browser.post(f"{API}/subjects", json={"code": "L2"}, headers=other).status_code == 403


def test_the_cookie_is_secure_behind_https(guarded: Site) -> None:
    browser = fresh(guarded, "https://lab.example")
    cookie = browser.get(f"/?token={TOKEN}", follow_redirects=False).headers["set-cookie"]
    assert "Secure" in cookie


def test_wrong_links_set_nothing(guarded: Site) -> None:
    browser = fresh(guarded)
    for path in (
        f"/?token={TOKEN}x",
        "/?token=",
        f"/about?token={TOKEN}",
        f"{API}/info?token={TOKEN}",
    ):
        answer = browser.get(path, follow_redirects=False)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
    for cookie in ("", "x", TOKEN, '"', "a=b; ="):
        headers = {"Cookie": f"{guarded.settings.cookie_name}={cookie}"}
        assert browser.get(f"{API}/subjects", headers=headers).status_code == 401


def test_the_socket_wants_the_token(guarded: Site) -> None:
    browser = fresh(guarded)
    with pytest.raises(WebSocketDenialResponse) as refused, browser.websocket_connect(SOCKET):
        pass
    assert refused.value.status_code == 401
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with browser.websocket_connect(SOCKET, headers=headers) as socket:
        socket.send_text("nonsense")
        assert socket.receive_json()["type"] == "error"


def test_secrets_are_compared_in_constant_time(
    guarded: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    real = access.hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        seen.append((a, b))
        return real(a, b)

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    browser = fresh(guarded)
    browser.get(f"{API}/info", headers={"Authorization": "Bearer first"})
    browser.get("/?token=second")
    browser.get(f"{API}/info", headers={"Cookie": f"{guarded.settings.cookie_name}=third"})
    assert [a for a, _ in seen if a] == [b"first", b"second", b"third"]


def test_the_description_says_how_to_show_the_token(site: Site, guarded: Site) -> None:
    assert set(guarded.app.openapi()["components"]["securitySchemes"]) == {"token", "cookie"}
    assert "securitySchemes" not in site.app.openapi()["components"]


@pytest.mark.parametrize("announced", [True, False])
def test_bodies_that_are_no_uploads_are_small(site: Site, announced: bool) -> None:
    asked = 0

    def body() -> Iterator[bytes]:
        nonlocal asked
        for _ in range(1000):
            asked += 1
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    if announced:
        headers["Content-Length"] = str(1000 * 65536)
    answer = site.client.post(f"{API}/subjects", content=body(), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"
    small = site.client.post(
        f"{API}/subjects", json={"code": "S", "note": "n" * (MAX_JSON_BYTES // 2)}
    )
    assert small.status_code == 422  # read, and refused for what it says


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "lab.example"])
def test_an_open_address_needs_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="expected a token"):
        Settings(tmp_path, host=host)
    assert Settings(tmp_path, host=host, token="x").token == "x"


@pytest.mark.parametrize("token", ["", "a b", "é", "x" * 257, "a\nb", "a&b", 'a"b'])
def test_tokens_that_no_link_can_carry(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="expected a token of"):
        Settings(tmp_path, token=token)


@pytest.mark.parametrize(
    "more",
    [{"port": -1}, {"port": 65536}, {"max_bytes": 0}, {"max_seconds": 0}, {"jobs": 0},
     {"retention_days": -1}, {"memory_mb": 1}],
)  # fmt: skip
def test_settings_out_of_range(tmp_path: Path, more: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(more))):
        Settings(tmp_path, **more)  # type: ignore[arg-type]
