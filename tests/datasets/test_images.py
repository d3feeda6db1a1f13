from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_neuro.datasets import images, kept, load_dataset
from conntra_neuro.datasets.mapped import is_mapped
from conntra_neuro.training import train

pytest.importorskip("PIL")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write(folder: Path, sizes: tuple[tuple[int, int], ...] = ((4, 3),) * 3) -> Path:
    from PIL import Image

    rng = np.random.default_rng(0)
    for part, n in (("train", len(sizes)), ("val", 1)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for k in range(n):
                pixels = rng.integers(0, 256, (sizes[k][1], sizes[k][0], 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{k}.png")
    return folder


def _pixels(file: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def test_folders_as_imagenet_is_laid_out(tmp_path: Path) -> None:
    folder = _write(tmp_path / "set")
    data = load_dataset(f"images:{folder}")
    assert (data.x_train.shape, data.x_test.shape) == ((6, 3, 3, 4), (2, 3, 3, 4))
    assert data.labels == ("cat", "dog")
    assert data.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(data.x_train[4].transpose(1, 2, 0), _pixels(folder / "train" / "dog" / "1.png"))


def test_a_size_resizes_and_crops_the_middle(tmp_path: Path) -> None:
    from PIL import Image

    folder = _write(tmp_path / "set", ((40, 30), (8, 8), (16, 30)))
    bars = np.zeros((8, 24, 3), np.uint8)
    bars[:, 8:16] = 255  # the middle third is white
    Image.fromarray(bars).save(folder / "train" / "cat" / "0.png")
    data = load_dataset(f"images:{folder}?size=4")
    assert data.x_train.shape == (6, 3, 4, 4)
    assert (data.x_train[0, :, :, 1:3] == 255).all()
    np.testing.assert_array_equal(
        load_dataset(f"images:{folder}?size=8").x_train[1].transpose(1, 2, 0), _pixels(folder / "train/cat/1.png")
    )


def test_unreadable_files_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = _write(tmp_path / "set")
    (folder / "train" / "dog" / "1.png").write_bytes(b"no image")
    whole = (folder / "train" / "cat" / "2.png").read_bytes()
    (folder / "train" / "cat" / "2.png").write_bytes(whole[: len(whole) // 2])
    data = load_dataset(f"images:{folder}")
    assert data.y_train.tolist() == [0, 0, 1, 1]
    assert "2 unreadable image(s) skipped, the first: cat/2.png" in data.note
    np.testing.assert_array_equal(data.x_train[3].transpose(1, 2, 0), _pixels(folder / "train" / "dog" / "2.png"))
    assert load_dataset(f"images:{folder}").note == data.note  # from the cache


def test_decoded_once_and_anew_where_files_change(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "set")
    first = load_dataset(f"images:{folder}")
    names = {path.name for path in cache.iterdir()}
    assert len(names) == 2
    with monkeypatch.context() as patched:
        patched.setattr(images, "_read", None)
        np.testing.assert_array_equal(load_dataset(f"images:{folder}").x_train, first.x_train)
    (folder / "train" / "cat" / "0.png").unlink()
    assert len(load_dataset(f"images:{folder}").x_train) == 5
    assert names < {path.name for path in cache.iterdir()}


def test_a_stopped_decoding_leaves_nothing(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "set")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(images, "_read", stop)
        with pytest.raises(KeyboardInterrupt):
            load_dataset(f"images:{folder}")
    assert list(cache.iterdir()) == []
    assert len(load_dataset(f"images:{folder}").x_train) == 6


def test_large_sets_stay_in_their_file_and_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "set", ((8, 8),) * 6)
    memory = train(load_dataset(f"images:{folder}?size=8"), layers="conv2k3", sweeps=2)
    monkeypatch.setattr(kept, "_IN_MEMORY", 0)
    data = load_dataset(f"images:{folder}?size=8")
    assert is_mapped(data.x_train)
    streamed = train(data, layers="conv2k3", sweeps=2)
    assert streamed.train_error == memory.train_error
    np.testing.assert_array_equal(
        streamed.network.layers[0].weight,  # type: ignore[attr-defined]
        memory.network.layers[0].weight,  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize(
    ("spec", "spoil", "says", "kind"),
    [
        ("", lambda f: [p.unlink() for p in f.glob("train/*/*")], "no images", FileFormatError),
        ("", lambda f: (f / "train").rename(f / "training"), "no folder train", FileFormatError),
        ("?side=4", lambda f: None, r"\?side=4 is not known; \?size=N", InputError),
        ("?size=0", lambda f: None, "size=N with N from 1", InputError),
        ("", lambda f: [p.write_bytes(b"x") for p in f.glob("train/*/*")], "none of its 6 images", InputError),
        ("", lambda f: _write(f / "other", ((9, 9),)) and _swap(f), r"9x9; 4x3 expected.*\?size=N", InputError),
        ("", lambda f: _one_size(f), r"4x3 in train, 9x9 in val; add \?size=N", InputError),
    ],
)
def test_unusable_folders(tmp_path: Path, spec: str, spoil: Any, says: str, kind: type[ConntraError]) -> None:
    folder = _write(tmp_path / "set")
    spoil(folder)
    with pytest.raises(kind, match=says) as caught:
        load_dataset(f"images:{folder}{spec}")
    assert "\n" not in str(caught.value)


def _swap(folder: Path) -> None:
    (folder / "other" / "train" / "dog" / "0.png").rename(folder / "train" / "dog" / "9.png")


def _one_size(folder: Path) -> None:
    _write(folder / "other", ((9, 9),))
    for name in ("cat", "dog"):
        (folder / "other" / "val" / name / "0.png").replace(folder / "val" / name / "0.png")


def test_test_and_val_are_both_accepted(tmp_path: Path) -> None:
    folder = _write(tmp_path / "set")
    val = load_dataset(f"images:{folder}")
    (folder / "val").rename(folder / "test")
    test = load_dataset(f"images:{folder}")
    np.testing.assert_array_equal(test.x_test, val.x_test)
    assert (test.labels, test.note) == (val.labels, val.note)


def test_of_test_and_val_the_first_with_labels_is_tested(tmp_path: Path) -> None:
    folder = _write(tmp_path / "set")
    (folder / "test").mkdir()
    unlabelled = (folder / "val" / "cat" / "0.png").read_bytes()
    (folder / "test" / "0001.png").write_bytes(unlabelled)  # ImageNet's test images have no classes
    data = load_dataset(f"images:{folder}")
    np.testing.assert_array_equal(data.x_test[0].transpose(1, 2, 0), _pixels(folder / "val" / "cat" / "0.png"))
    for name in ("cat", "dog"):
        (folder / "test" / name).mkdir()
        (folder / "train" / name / "1.png").rename(folder / "test" / name / "1.png")
    data = load_dataset(f"images:{folder}")
    np.testing.assert_array_equal(data.x_test[1].transpose(1, 2, 0), _pixels(folder / "test" / "dog" / "1.png"))
    assert data.note == "split as given; val not used"
