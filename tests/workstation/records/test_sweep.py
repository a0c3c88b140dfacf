"""The data folder holds what a record owns: all else that was made here goes, and nothing more."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.core.errors import NotFoundError
from micromimic.workstation.live.recorder import VideoRecorder
from micromimic.workstation.records import people, privacy, recordings
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.folder import DATABASE_NAME, NUMBERS, PICTURES, RESULTS
from micromimic.workstation.records.folder_lock import folder_lock, ids_being_written, writing_files
from micromimic.workstation.records.values import new_id
from micromimic.workstation.settings import Settings
from micromimic.workstation.uploads import Incoming

from ...store_samples import add_recording, analysed, files

pytestmark = pytest.mark.needs("web")
POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data", busy_s=0.5) as found:
        yield found


def plant(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a face")
    return path


def plant_leftovers(store: Store, done: str, waiting: str, expired: str) -> None:
    """A file of every kind that the code can leave, or could in earlier versions."""
    stray = new_id()
    for name in (
        f"{stray}.part",  # an upload of earlier versions
        f"{new_id()}.mp4",  # a live video of earlier versions, before it was moved
        f".{new_id()}.4711.mp4",  # the same while it was written
        f".{done}.4711.mp4",  # even under the id of a record
        f"{new_id()}/video.part",  # an upload
        f"{new_id()}/video.mp4",  # a live video
        f"{new_id()}/.micromimic-0123456789abcdef.mp4",  # the same while it is written
    ):
        plant(store.incoming / name)
    (store.incoming / new_id()).mkdir()  # before its first byte
    plant(store.folder(stray) / "video.mp4")  # moved, and never recorded
    for recording in (done, waiting, expired):
        folder = store.folder(recording)
        plant(folder / ".work-1234" / "out" / ".micromimic-0123456789abcdef.mp4")
        plant(folder / ".work-1234" / "log")
        plant(folder / "events.json.partial")
        plant(folder / ".micromimic-0123456789abcdef.part")
        plant(folder / ".proxy.mp4.part")
    for name in (*RESULTS, "events/0/apex.jpg"):  # results of an analysis that never ended
        plant(store.folder(waiting) / name)
    for name in ("video.mp4", "proxy.mp4", "events/0/face.mp4"):  # of a worker slow to stop
        plant(store.folder(expired) / name)


def three(store: Store) -> tuple[str, str, str]:
    """Recordings that are done, wait, and whose time is over."""
    from datetime import timedelta

    done = analysed(store, files=True)
    expired = analysed(store, files=True, expires_at=store.clock() + timedelta(days=1))
    waiting = add_recording(store, files=True).id
    for recording in (done, expired):
        for name in (*(RESULTS | NUMBERS), "events/0/apex.jpg", "events/0/face.mp4"):
            plant(store.folder(recording) / name)
    privacy.expire(store, now=store.clock() + timedelta(days=2))
    return done, waiting, expired


@pytest.mark.parametrize("way", ["sweep", "forget"])
def test_what_no_record_owns_goes(store: Store, way: str) -> None:
    done, waiting, expired = three(store)
    owned = files(store.data / "recordings")
    assert {name.split("/")[0] for name in owned} == {done, waiting, expired}
    plant_leftovers(store, done, waiting, expired)
    if way == "forget":
        people.add_subject(store, "P1")
        privacy.forget_subject(store, "P1")
    else:
        assert privacy.sweep(store) > 30
    assert files(store.data / "recordings") == owned
    assert list(store.incoming.iterdir()) == []
    assert set(files(store.folder(expired))) == NUMBERS
    assert (store.folder(done) / PICTURES / "0" / "face.mp4").is_file()
    assert privacy.sweep(store) == 0


def test_what_was_not_made_here_stays_and_is_named(store: Store) -> None:
    mine = {
        plant(store.data / name)
        for name in ("notes.txt", "recordings/holiday.mp4", "incoming/holiday.mp4")
    }
    folder = store.data / "recordings" / "my holidays"
    plant(folder / "film.mp4")
    assert privacy.sweep(store) == 0
    assert set(privacy.foreign_files(store)) == {*mine, folder}


def test_links_are_not_followed(store: Store, tmp_path: Path) -> None:
    outside = plant(tmp_path / "outside" / "precious.mp4")
    known = add_recording(store).id
    for place in (store.folder(known), store.incoming / new_id()):
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(outside.parent, target_is_directory=True)
    privacy.sweep(store)
    assert outside.is_file()
    assert list(store.incoming.iterdir()) == list((store.data / "recordings").iterdir()) == []


def test_what_this_process_writes_stays(store: Store) -> None:
    settings = Settings(store.data)
    upload = Incoming(store.data)
    upload.write(b"x")
    keeper = VideoRecorder(settings, 64, 48, 25.0)
    keeper.put(np.zeros((48, 64), np.uint8), 0.0)
    recording = add_recording(store, files=True).id
    work = plant(store.folder(recording) / ".work-1" / "out" / "proxy.mp4")
    with writing_files(recording):
        privacy.sweep(store)
        assert work.is_file()
        assert len(list(store.incoming.iterdir())) == 2
    upload.discard()
    keeper._incoming.discard()
    keeper._mailbox.end()
    keeper._thread.join()
    privacy.sweep(store)
    assert files(store.data / "recordings") == [f"{recording}/video.mp4"]
    assert list(store.incoming.iterdir()) == []
    assert ids_being_written() == frozenset()


SERVER = """
import sys
from pathlib import Path
from micromimic.workstation.records.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])) as ours:
    print(ours, flush=True)
    sys.stdin.read()
"""


def test_another_process_s_folder_is_left_to_it(store: Store) -> None:
    session = people.add_subject(store, "P1")
    part = plant(store.incoming / new_id() / "video.part")
    command = [sys.executable, "-c", SERVER, str(store.data)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "True\n"
        privacy.forget_subject(store, session.code)  # what is the person's own goes all the same
        assert part.is_file()
        with folder_lock(store.data, wait_s=0.0) as ours:
            assert not ours
        server.kill()
    assert privacy.sweep(store) == 1
    assert list(store.incoming.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from micromimic.workstation.live.recorder import VideoRecorder
from micromimic.workstation.settings import Settings
keeper = VideoRecorder(Settings(Path(sys.argv[1])), 64, 48, 25.0)
for number in range(20):
    keeper.put(np.full((48, 64), number, np.uint8), number / 25)
keeper._mailbox.end()
keeper._thread.join()
os.kill(os.getpid(), signal.SIGKILL)
"""


@POSIX
def test_a_live_video_whose_server_was_killed_is_gone_at_the_next_start(store: Store) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.data)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(name.endswith(".mp4") for name in files(store.incoming))
    privacy.sweep(store)
    assert list(store.incoming.iterdir()) == []


# ---------------------------------------------------------------------------------- permissions


def modes(folder: Path) -> dict[str, int]:
    places = [folder, *folder.rglob("*")]
    return {str(p.relative_to(folder)): stat.S_IMODE(p.stat().st_mode) for p in places}


@POSIX
def test_what_others_could_read_is_mended(store: Store, tmp_path: Path) -> None:
    done, waiting, expired = three(store)
    plant_leftovers(store, done, waiting, expired)
    theirs = plant(store.data / "notes.txt")
    outside = plant(tmp_path / "outside.mp4")
    (store.folder(done) / "link").symlink_to(outside)
    for path in (store.data, outside, *store.data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert privacy.restrict_access(store) == []
    found = modes(store.data)
    assert found.pop(theirs.name) == 0o644
    assert found.pop(f"recordings/{done}/link") == stat.S_IMODE(outside.stat().st_mode) == 0o644
    assert {oct(mode) for name, mode in found.items() if (store.data / name).is_dir()} == {"0o700"}
    assert {oct(mode) for name, mode in found.items() if (store.data / name).is_file()} == {"0o600"}
    assert DATABASE_NAME in found
    assert f"{DATABASE_NAME}-wal" in found


# ---------------------------------------------------------------------------------- full disk


def test_a_copy_of_the_records_is_never_in_the_temporary_folder(store: Store) -> None:
    with store.bare() as connection:
        assert connection.exec_driver_sql("PRAGMA temp_store").scalar() == 2  # memory


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("no right to mount a disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    with (disk / "somebody's").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


@pytest.mark.parametrize("open_before", [True, False])
@pytest.mark.parametrize("way", ["forget", "expire", "recording", "session"])
def test_on_a_full_disk_what_is_to_go_goes(small_disk: Path, way: str, open_before: bool) -> None:
    from datetime import timedelta

    from ...store_samples import add_session

    data = small_disk / "data"
    store = open_store(data, busy_s=0.5)
    try:
        session = add_session(store)
        until = store.clock() + timedelta(days=1)
        recording = add_recording(store, session, files=True, expires_at=until).id
        video = store.folder(recording) / "video.mp4"
        video.write_bytes(bytes(500_000))
        if not open_before:
            store.close()
        fill(small_disk)
        if not open_before:
            store = open_store(data, busy_s=0.5)
        if way == "forget":
            privacy.forget_subject(store, "P1")
        elif way == "expire":
            assert privacy.expire(store, now=until) == [recording]
        elif way == "recording":
            privacy.remove_recording(store, recording)
        else:
            privacy.remove_session(store, session)
        assert not video.exists()
        if way == "expire":
            assert recordings.get_recording(store, recording).media == "expired"
        else:
            with pytest.raises(NotFoundError):
                recordings.get_recording(store, recording)
        assert not list(data.glob("*.due"))
    finally:
        store.close()


def test_a_removal_that_was_begun_is_finished_at_the_next_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from micromimic.core.errors import UnavailableError

    from ...store_samples import add_session

    session = add_session(store, "P1")
    recording = analysed(store, session, files=True)

    def full() -> None:
        raise UnavailableError("expected room on the disk, got: it is full; make room")

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(UnavailableError, match="it is full"):
        privacy.forget_subject(store, "P1")
    assert not store.folder(recording).exists()  # the pictures are gone all the same
    assert [s.code for s in people.list_subjects(store)] == ["P1"]
    monkeypatch.undo()
    assert privacy.finish_removals(store) == 1
    assert people.list_subjects(store) == ()
    assert not list(store.data.glob("*.due"))
    assert privacy.finish_removals(store) == 0
