"""What retention deletes, and what it never touches."""

import os
from pathlib import Path

from stages.evidence.files import part_name
from stages.evidence.keep import Retention

NOW_S = 1_000_000.0
ID = "{:032x}"


def put(folder: Path, name: str, age_s: float, size_bytes: int = 100) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def evidence(folder: Path, number: int, age_s: float, stream: str = "gate") -> Path:
    return put(folder, f"{stream}/{ID.format(number)}-clip.mp4", age_s)


def keeper(
    folder: Path, most_bytes: int | None = None, longest_s: float | None = None
) -> Retention:
    made = Retention(folder, most_bytes, longest_s, now_s=lambda: NOW_S)
    made.open()
    return made


def test_the_oldest_goes_first_over_all_streams(tmp_path: Path) -> None:
    ages = {1: 50.0, 2: 40.0, 3: 30.0, 4: 20.0}
    files = {n: evidence(tmp_path, n, age, f"cam{n % 2}") for n, age in ages.items()}
    made = keeper(tmp_path, most_bytes=250)
    assert [path.exists() for path in files.values()] == [False, False, True, True]
    assert (made.deleted_total, made.held_bytes) == (2, 200)


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    old, young = evidence(tmp_path, 1, 3700), evidence(tmp_path, 2, 3500)
    keeper(tmp_path, longest_s=3600)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_new_file_makes_room(tmp_path: Path) -> None:
    old = evidence(tmp_path, 1, 10)
    made = keeper(tmp_path, most_bytes=150)
    new = evidence(tmp_path, 2, 0)
    made.add(new, 100)
    assert old.exists()
    made.apply()
    assert (old.exists(), new.exists()) == (False, True)


def test_the_newest_stays_even_if_it_is_too_large(tmp_path: Path) -> None:
    only = evidence(tmp_path, 1, 10)
    keeper(tmp_path, most_bytes=50)
    assert only.exists()


def test_nothing_of_others_goes(tmp_path: Path) -> None:
    """Names that are nearly ours, ours in the wrong place, and links to elsewhere."""
    folder = tmp_path / "kept"
    name = ID.format(7)
    outside = put(tmp_path, "outside/precious.mp4", 9e5)
    others = [
        put(folder, f"{name}-clip.mp4", 9e5),
        put(folder, "gate/holiday.mp4", 9e5),
        put(folder, f"gate/{name}.mp4", 9e5),
        put(folder, f"gate/{name[:-1]}-clip.mp4", 9e5),
        put(folder, f"gate/{name}-clip.jpg", 9e5),
        put(folder, f"gate/{name.upper().replace('0', 'A')}-clip.mp4", 9e5),
        put(folder, f"gate/deep/{name}-clip.mp4", 9e5),
        put(folder, "gate/.notes.part", 9e5),
    ]
    link = folder / "gate" / f"{ID.format(8)}-clip.mp4"
    link.symlink_to(outside)
    linked = folder / "linked"
    linked.symlink_to(put(tmp_path, f"elsewhere/{name}-clip.mp4", 9e5).parent)
    (folder / "gate" / f"{ID.format(9)}-frame.jpg").mkdir()
    made = keeper(folder, most_bytes=1, longest_s=1)
    made.add(evidence(folder, 1, 0), 100)
    made.apply()
    assert made.deleted_total == 0
    assert all(path.exists() for path in [*others, link, outside, linked / f"{name}-clip.mp4"])


def test_a_file_that_became_a_link_meanwhile_is_left(tmp_path: Path) -> None:
    precious = put(tmp_path, "precious", 0)
    file = evidence(tmp_path / "kept", 1, 10)
    made = keeper(tmp_path / "kept", most_bytes=100)
    file.unlink()
    file.symlink_to(precious)
    made.add(evidence(tmp_path / "kept", 2, 0), 100)
    made.apply()
    assert precious.exists()
    assert file.is_symlink()


def test_parts_of_a_killed_run_go_when_nobody_can_be_writing_them(tmp_path: Path) -> None:
    name = f"{ID.format(1)}-clip.mp4"
    stale = put(tmp_path, f"gate/{part_name(name)}", 7200)
    fresh = put(tmp_path, f"cars/{part_name(name)}", 60)
    keeper(tmp_path)
    assert (stale.exists(), fresh.exists()) == (False, True)


def test_writing_one_again_counts_it_once(tmp_path: Path) -> None:
    made = keeper(tmp_path)
    path = evidence(tmp_path, 1, 0)
    made.add(path, 100)
    made.add(path, 60)
    assert made.held_bytes == 60


def test_stale_parts_behind_a_link_and_folders_of_that_name_stay(tmp_path: Path) -> None:
    name = part_name(f"{ID.format(1)}-crop.jpg")
    ours = put(tmp_path / "kept", f"gate/{name}", 7200)
    theirs = put(tmp_path, f"other/{name}", 7200)
    (tmp_path / "kept" / "linked").symlink_to(tmp_path / "other")
    folder = tmp_path / "kept" / "hall" / name
    folder.mkdir(parents=True)
    os.utime(folder, (NOW_S - 7200, NOW_S - 7200))
    keeper(tmp_path / "kept")
    assert (ours.exists(), theirs.exists(), folder.is_dir()) == (False, True, True)
