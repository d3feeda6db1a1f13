import gzip
import re

import numpy as np
import pytest

from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_neuro.datasets import Dataset, load_dataset
from conntra_neuro.datasets import mnist as mnist_module


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.normal(size=(20, 3)),
        "y_train": np.arange(20) % 4,
        "x_test": rng.normal(size=(8, 3)),
        "y_test": np.arange(8) % 4,
    }


@pytest.fixture
def saved(tmp_path):
    def save(arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return f"npz:{path}"

    return save


def mnist_arrays(n=30, seed=0):
    rng = np.random.default_rng(seed)
    part = lambda n: (rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8))  # noqa: E731
    (x_train, y_train), (x_test, y_test) = part(n), part(n // 2)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return header + array.tobytes()


def write_idx(folder, arrays, zipped=False, dotted=False):
    for part, prefix in (("train", "train"), ("test", "t10k")):
        for letter, kind in (("x", "images-idx3-ubyte"), ("y", "labels-idx1-ubyte")):
            name = f"{prefix}-{kind.replace('-idx', '.idx') if dotted else kind}"
            data = idx(arrays[f"{letter}_{part}"])
            (folder / (name + (".gz" if zipped else ""))).write_bytes(gzip.compress(data) if zipped else data)


def fails(spec, *words, kind=ConntraError):
    with pytest.raises(kind) as caught:
        load_dataset(spec)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert re.search(word, message), message


def test_iris_and_digits_are_split_by_seed_and_class():
    iris = load_dataset("iris", seed=1)
    assert (iris.x_train.shape, iris.x_test.shape, iris.feature_shape) == ((120, 4), (30, 4), (4,))
    assert iris.labels == ("setosa", "versicolor", "virginica")
    assert np.bincount(iris.y_test).tolist() == [10, 10, 10]
    assert "seed 1" in iris.note
    digits = load_dataset("digits")
    assert digits.feature_shape == (8, 8)
    assert digits.labels == tuple(range(10))
    assert len(digits.x_train) + len(digits.x_test) == 1797
    np.testing.assert_array_equal(digits.x_test, load_dataset("digits").x_test)
    assert not np.array_equal(digits.x_test, load_dataset("digits", seed=1).x_test)


def test_a_split_loses_and_doubles_no_sample(saved):
    x = np.arange(50.0)[:, None]
    data = load_dataset(saved({"x_train": x, "y_train": np.arange(50) % 3}), test_fraction=0.3)
    both = np.concatenate([data.x_train, data.x_test])[:, 0]
    np.testing.assert_array_equal(np.sort(both), x[:, 0])
    np.testing.assert_array_equal(data.x_test[:, 0].astype(int) % 3, data.y_test)


def test_npz_with_a_test_split(saved, arrays):
    data = load_dataset(saved(arrays))
    np.testing.assert_array_equal(data.x_train, arrays["x_train"])
    assert data.y_test.dtype == np.int64
    assert not data.x_train.flags.writeable


def test_labels_may_be_any_integers_or_strings(saved, arrays):
    tens = {name: arrays[name] * 10 - 5 for name in ("y_train", "y_test")}
    data = load_dataset(saved(arrays | tens))
    assert data.labels == (-5, 5, 15, 25)
    np.testing.assert_array_equal(data.y_train, arrays["y_train"])
    names = np.array(["cat", "dog", "eel", "fox"])
    words = {name: names[arrays[name]] for name in ("y_train", "y_test")}
    data = load_dataset(saved(arrays | words))
    assert data.labels == ("cat", "dog", "eel", "fox")


def nan(a):
    a["x_train"][7, 1] = np.nan


BAD = {
    "nan": (nan, "NaN or infinite features", "sample 7", "drop or impute"),
    "infinite test": (lambda a: a["x_test"].__setitem__((0, 0), np.inf), "x_test"),
    "unseen label": (lambda a: a["y_test"].__setitem__(0, 9), "out of range", "y_test has 9", "0, 1, 2, 3"),
    "broken labels": (lambda a: a.update(y_train=a["y_train"] + 0.5), "not whole"),
    "one class": (lambda a: a.update(y_train=np.zeros(20, int), y_test=np.zeros(8, int)), "one class only"),
    "no samples": (
        lambda a: a.update(x_train=np.zeros((0, 3)), y_train=np.zeros(0, int)),
        "empty, x_train holds no",
    ),
    "no test samples": (lambda a: a.update(x_test=np.zeros((0, 3)), y_test=np.zeros(0, int)), "empty"),
    "no features": (lambda a: a.update(x_train=np.zeros((20, 0)), x_test=np.zeros((8, 0))), "empty"),
    "too few labels": (lambda a: a.update(y_train=a["y_train"][:-1]), "20 samples in x_train, 19 in y_train"),
    "other features": (lambda a: a.update(x_test=np.zeros((8, 4))), r"\(3,\) in x_train, \(4,\) in x_test"),
    "flat": (lambda a: a.update(x_train=np.zeros(20)), r"\(n, features\) expected"),
    "text": (lambda a: a.update(x_train=np.full((20, 3), "a")), "numbers expected"),
    "one-hot": (lambda a: a.update(y_train=np.eye(4)[a["y_train"]]), r"y_train has shape \(20, 4\)"),
    "objects": (lambda a: a.update(y_train=np.array([{}] * 20)), "objects"),
    "no y_train": (lambda a: a.pop("y_train"), "no y_train, it holds x_train, x_test, y_test"),
    "half a test split": (lambda a: a.pop("y_test"), "no y_test"),
}


@pytest.mark.parametrize("case", BAD)
def test_unusable_arrays(saved, arrays, case):
    spoil, *words = BAD[case]
    spoil(arrays)
    fails(saved(arrays), "npz", *words)


def test_a_class_of_one_sample_cannot_be_split(saved, arrays):
    fails(saved({"x_train": arrays["x_train"], "y_train": np.minimum(np.arange(20), 1)}), "single sample")


def test_empty_without_test_split(saved):
    fails(saved({"x_train": np.zeros((0, 3)), "y_train": np.zeros(0, int)}), "empty")


def test_missing_damaged_and_truncated_npz(tmp_path, saved, arrays):
    fails(f"npz:{tmp_path}/none.npz", "no such file", kind=FileFormatError)
    spec = saved(arrays)
    path = tmp_path / "data.npz"
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:50], b"", b"not a zip", bytes(1000)):
        path.write_bytes(content)
        fails(spec, "not an .npz file, or truncated", kind=FileFormatError)
    flipped = bytearray(whole)
    flipped[300] ^= 0xFF
    path.write_bytes(flipped)
    fails(spec, "damaged or truncated", kind=FileFormatError)
    np.save(tmp_path / "data.npy", arrays["x_train"])
    fails(f"npz:{tmp_path}/data.npy", "not an .npz", kind=FileFormatError)
    fails(f"npz:{tmp_path}", "npz|folder", kind=FileFormatError)


@pytest.mark.parametrize("spec", ["", "cifar", "iris:x", "npz", "npz:", "mnist:", "digits.npz", ":x"])
def test_unknown_specifications_list_the_known_ones(spec):
    meant = r"( \(did you mean (npz:digits\.npz|mnist|iris)\?\))?"
    fails(spec, rf"unknown{meant}; allowed: iris, digits, diabetes, mnist", kind=InputError)


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_seeds(seed):
    with pytest.raises(InputError, match="seed"):
        load_dataset("iris", seed=seed)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2, float("nan")])
def test_test_fractions(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        load_dataset("iris", test_fraction=fraction)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_from_idx_files(tmp_path, zipped, dotted):
    arrays = mnist_arrays()
    write_idx(tmp_path, arrays, zipped, dotted)
    data = load_dataset(f"mnist:{tmp_path}")
    for name in arrays:
        np.testing.assert_array_equal(getattr(data, name), arrays[name])
    assert data.labels == tuple(range(10))


def test_mnist_from_npz(tmp_path):
    arrays = mnist_arrays()
    np.savez(tmp_path / "mnist.npz", **arrays)
    np.testing.assert_array_equal(load_dataset(f"mnist:{tmp_path}/mnist.npz").x_test, arrays["x_test"])
    np.savez(tmp_path / "mnist.npz", x_train=arrays["x_train"], y_train=arrays["y_train"])
    assert "held out" in load_dataset(f"mnist:{tmp_path}/mnist.npz").note


def test_unusable_mnist(tmp_path):
    path = tmp_path / "mnist.npz"
    arrays = mnist_arrays()
    np.savez(path, **(arrays | {"x_train": arrays["x_train"].reshape(30, 784)}))
    fails(f"mnist:{path}", r"uint8 \(n, 28, 28\) expected", "use npz:")
    np.savez(path, **(arrays | {"x_train": arrays["x_train"] / 255}))
    fails(f"mnist:{path}", "float64")
    np.savez(path, **(arrays | {"y_test": arrays["y_test"] + 1}))
    fails(f"mnist:{path}", "labels out of range in y_test")


def test_damaged_idx_files(tmp_path):
    arrays = mnist_arrays()
    write_idx(tmp_path, arrays)
    spec, images = f"mnist:{tmp_path}", tmp_path / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    images.write_bytes(whole[:-1])
    fails(spec, "truncated", "train-images", kind=FileFormatError)
    images.write_bytes(whole + b"x")
    fails(spec, "too long", kind=FileFormatError)
    images.write_bytes(whole[:10])
    fails(spec, "not an IDX file", kind=FileFormatError)
    images.write_bytes(gzip.compress(whole)[:-20])
    fails(spec, "damaged or truncated", kind=FileFormatError)
    images.unlink()
    fails(spec, "no train-images-idx3-ubyte", kind=FileFormatError)
    fails(f"mnist:{tmp_path}/none", "no such file or folder", kind=FileFormatError)


def test_mnist_offline_says_so_in_one_line(tmp_path, monkeypatch):
    import urllib.error

    import sklearn.datasets

    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", offline)
    fails("mnist", "not in the cache", "OpenML cannot be reached", "no route to host", "mnist:PATH")
    assert not (tmp_path / "cache").exists()


def test_mnist_is_fetched_once_and_cached(tmp_path, monkeypatch):
    import sklearn.datasets
    from sklearn.utils import Bunch

    monkeypatch.setenv("CONNTRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist_module, "_N_TRAIN", 60)
    monkeypatch.setattr(mnist_module, "_N_TEST", 20)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (80, 784)).astype(float)
    fetched = Bunch(data=pixels, target=(np.arange(80) % 10).astype(str))
    calls = []
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *a, **k: calls.append(a) or fetched)
    first, second = load_dataset("mnist"), load_dataset("mnist")
    assert len(calls) == 1
    assert (len(first.x_train), len(first.x_test)) == (60, 20)
    np.testing.assert_array_equal(first.x_test.reshape(20, 784), fetched.data[60:])
    np.testing.assert_array_equal(first.x_train, second.x_train)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["mnist.npz"]
    fetched.data = fetched.data[:10]
    (tmp_path / "cache" / "mnist.npz").unlink()
    fails("mnist", "OpenML gave samples")


def test_a_dataset_of_ones_own_is_checked_and_locked():
    x, y = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    data = Dataset("mine", x, y, x[:0], y[:0], ("no", "yes"))
    x[0] = 99
    assert data.x_train[0, 0] == 0
    assert (data.n_classes, data.n_features) == (2, 2)
    with pytest.raises(InputError, match="labels out of range"):
        Dataset("mine", x, y + 1, x, y, ("no", "yes"))
    with pytest.raises(InputError, match="integers"):
        Dataset("mine", x, y / 1.0, x, y, ("no", "yes"))
