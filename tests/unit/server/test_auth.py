from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gitsync.errors import SettingsError
from gitsync.server.api.auth import Auth, load_or_create_admin_token, make_token, record_of
from gitsync.server.api.context import Denials
from gitsync.server.api.problem import UnauthorizedError
from tests.support.webservice import SteppingClock
from tests.unit.server.conftest import Site

SYNC = "/api/v1/sources/default/sync"


def test_a_token_has_a_public_id_and_256_random_bits() -> None:
    first, second = make_token(), make_token()
    assert first != second
    prefix, name, secret = first.split("_", 2)
    assert (prefix, len(name), len(secret)) == ("gst", 12, 43)


def test_only_the_hash_of_a_token_is_kept() -> None:
    token = make_token()
    record = record_of(token)
    assert token.split("_", 2)[2] not in repr(record)
    assert len(record.digest) == 32


def test_the_right_token_is_accepted_and_names_the_actor() -> None:
    token = make_token()
    auth = Auth([record_of(make_token()), record_of(token)])
    assert auth.check(f"Bearer {token}").actor == f"token:{token[4:16]}"
    assert auth.check(f"bearer  {token}").actor == f"token:{token[4:16]}"


def changed(token: str, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


TOKEN = "gst_ret5yoptmf7p_v9MAS8WwNfLRBSsO2XjgKdrLKP-Bw9CCh0Jv_Gjcy5c"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "auth.missing"),
        ("", "auth.missing"),
        ("Bearer", "auth.invalid"),
        ("Bearer ", "auth.invalid"),
        (f"Basic {TOKEN}", "auth.invalid"),
        (TOKEN, "auth.invalid"),
        (f"Bearer {TOKEN}x", "auth.invalid"),
        (f"Bearer {TOKEN[:-1]}", "auth.invalid"),
        (f"Bearer {changed(TOKEN, 20)}", "auth.invalid"),
        (f"Bearer gst_{'a' * 12}_{TOKEN[17:]}", "auth.invalid"),
        (f"Bearer {TOKEN} {TOKEN}", "auth.invalid"),
        ("Bearer gst_aaaaaaaaaaaa_" + "é" * 43, "auth.invalid"),
    ],
)
def test_everything_else_is_refused_and_never_repeated(header: str | None, code: str) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        Auth([record_of(TOKEN)]).check(header)
    assert caught.value.code == code
    assert TOKEN[17:] not in str(caught.value)


def test_the_first_start_writes_a_token_that_only_the_owner_reads(tmp_path: Path) -> None:
    auth, path, created = load_or_create_admin_token(tmp_path / "new" / "state")
    assert created
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert auth.check(f"Bearer {path.read_text().strip()}").actor.startswith("token:")
    assert [one.name for one in path.parent.iterdir()] == ["admin.token"]


def test_later_starts_use_the_same_token(tmp_path: Path) -> None:
    _, path, _ = load_or_create_admin_token(tmp_path)
    token = path.read_text().strip()
    auth, _, created = load_or_create_admin_token(tmp_path)
    assert not created
    auth.check(f"Bearer {token}")


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    _, path, _ = load_or_create_admin_token(tmp_path)
    path.chmod(0o640)
    with pytest.raises(SettingsError) as caught:
        load_or_create_admin_token(tmp_path)
    assert caught.value.code == "file.permissions"
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("body", ["", "hunter2\n", "gst_short_x", "\xff\xfe"])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "admin.token"
    path.write_bytes(body.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load_or_create_admin_token(tmp_path)
    assert caught.value.code == "auth.token_file"
    assert "hunter2" not in str(caught.value)


def test_a_directory_in_the_place_of_the_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "admin.token").mkdir(mode=0o700)
    with pytest.raises(SettingsError):
        load_or_create_admin_token(tmp_path)


async def test_reads_are_open_and_changes_are_not(site: Site) -> None:
    assert (await site.client.get("/api/v1/agents")).status_code == 200
    answer = await site.client.post(SYNC)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="gitsync"'
    assert answer.json()["code"] == "auth.missing"
    assert site.service.synced == []


async def test_the_audit_log_needs_a_token(site: Site) -> None:
    assert (await site.client.get("/api/v1/audit")).status_code == 401
    answer = await site.trusted.get("/api/v1/audit?limit=1")
    (line,) = answer.json()["items"]
    assert set(line) == {
        *("seq", "timestamp", "agentUid", "action", "resource", "result", "userId", "remoteAddr", "reason", "details"),
    }
    assert (line["action"], line["resource"], line["result"]) == ("login", "GET /api/v1/audit", "failure")


async def test_refused_calls_are_audited_but_nobody_can_fill_the_log(site: Site) -> None:
    for _ in range(30):
        await site.client.post(SYNC, headers={"Authorization": "Bearer guess"})
    lines = [one for _, one in await site.service.store.list_audit(100) if one.action == "login"]
    assert len(lines) == 10
    assert (lines[0].outcome, lines[0].reason, lines[0].actor) == ("failure", "auth.invalid", "anonymous")
    assert lines[0].remote_addr == "192.0.2.9:5555"
    site.clock.advance(2)
    await site.client.post(SYNC)
    newest = (await site.service.store.list_audit(1))[0][1]
    assert newest.details == {"suppressed": 20}


def test_denials_come_back_one_a_second() -> None:
    clock = SteppingClock()
    denials = Denials(clock, burst=2)
    assert [denials.admit() for _ in range(4)] == [0, 0, None, None]
    clock.advance(1)
    assert [denials.admit(), denials.admit()] == [2, None]
    clock.advance(3_600)
    assert [denials.admit() for _ in range(3)] == [1, 0, None]


async def test_a_refused_call_is_still_refused_when_it_cannot_be_audited(site: Site) -> None:
    async with site.store_away():
        assert (await site.client.post(SYNC)).status_code == 401
