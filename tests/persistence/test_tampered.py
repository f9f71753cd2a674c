"""Five hundred tampered files: none is read as another model, none raises but in two types."""

import json
import random
import struct
import warnings

import numpy as np
import pytest
from saved_estimators import answers, backbone, fitted

from acr_sklearn import load
from acr_sklearn.exceptions import LeftOutWarning
from acr_sklearn.persistence.container import pack, unpack

BASES = {
    "dsvdd-consensus-1": {},
    "dsvdd-combined-1, adapted": {},
    "own backbone": {"backbone": backbone()},
    "scaler": {},
}
N_FILES = 500


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    found = {}
    for name in BASES:
        fitted(name).save(folder / "m")
        found[name] = (folder / "m").read_bytes()
    return found


def header_end(data):
    return 8 + struct.unpack("<Q", data[:8])[0]


def with_header(data, head, size=None):
    return struct.pack("<Q", len(head) if size is None else size) + head + data[header_end(data) :]


# -------------------------------------------------------- what happens to files, and is not signed


def flip(data, rng):
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def flip_in_header(data, rng):
    found = bytearray(data)
    found[rng.randrange(header_end(data))] ^= 1 << rng.randrange(8)
    return bytes(found)


def truncate(data, rng):
    return data[: rng.choice((0, 1, 7, 8, 9, header_end(data), rng.randrange(len(data))))]


def extend(data, rng):
    return data + rng.choice((b"\0", b" ", data, rng.randbytes(rng.randrange(1, 5000))))


def swap(data, rng):
    found = bytearray(data)
    size = rng.randrange(1, 200)
    a, b = sorted(rng.randrange(len(data) - size) for _ in "ab")
    found[a : a + size], found[b : b + size] = found[b : b + size], found[a : a + size]
    return bytes(found)


def blank(data, rng):
    start = rng.randrange(len(data))
    return data[:start] + bytes(min(512, len(data) - start)) + data[start + 512 :]


def hostile_size(data, rng):
    size = rng.choice((0, 1, 2, 2**63, 2**64 - 1, 2**32, len(data), len(data) - 8, 10**8))
    return with_header(data, data[8 : header_end(data)], size)


def hostile_header(data, rng):
    heads = (
        *(b"{}", b"[]", b"null", b"0", b'""', b"\xff\xfe", b'{"__metadata__":{}}', b"{" * 100_000),
        *(b"[" * 100_000 + b"]" * 100_000, b'{"__metadata__":' * 50_000, b"9" * 100_000),
        *(b'{"__metadata__":[]}', b'{"__metadata__":{"sha256":1}}', b'{"__metadata__":null}'),
        b'{"__metadata__":{"sha256":"' + b"0" * 64 + b'","format":"1"}}',
        b'{"__metadata__":{"sha256":"","format":"1","class":"scaler"}}',
    )
    return with_header(data, rng.choice(heads))


def other_texts(data, rng):
    """A change of the texts or of where tensors lie, without a new signature."""
    header = json.loads(data[8 : header_end(data)])
    texts, tensors = header["__metadata__"], [key for key in header if key != "__metadata__"]
    change = rng.randrange(5)
    if change == 0:
        texts["class"] = rng.choice(("posix.system", "os", "ZeroShotSegmenter", "Pipeline", ""))
    elif change == 1:
        texts["format"] = rng.choice(("2", "99", "-1", "0x1", "1" * 5000, "", "1 "))
    elif change == 2:
        name = rng.choice(tensors)
        header[rng.choice(("../../../../etc/passwd", "/etc/passwd", "a\0b"))] = header.pop(name)
    elif change == 3:
        name = rng.choice(tensors)
        header[name]["shape"] = rng.choice(([2**40], [2**62, 2**62], [-1], [], [0], ["a"], None))
    else:
        name = rng.choice(tensors)
        ends = header[name]["data_offsets"]
        header[name]["data_offsets"] = rng.choice(
            ([0, 2**60], [-8, 8], ends[::-1], [ends[0], ends[1] + 8], [0], "no", [2**64, 2**65])
        )
    return with_header(data, json.dumps(header).encode())


# --------------------------------------------------- what a forger makes, who can sign as save does


def signed(change):
    def forge(data, rng):
        texts, tensors = unpack(bytearray(data))
        change(texts, tensors, rng)
        return pack(texts, tensors)

    forge.__name__ = change.__name__
    return forge


@signed
def not_finite(texts, tensors, rng):
    weights = [name for name in tensors if name.endswith((".weight", ".bias"))]
    flat = tensors[rng.choice(weights)].reshape(-1)
    flat[rng.randrange(len(flat))] = np.nan


@signed
def unknown_class(texts, tensors, rng):
    name = rng.choice(("print", "builtins.eval", "os.system", "subprocess.Popen", "Module", ""))
    entries = json.loads(texts["objects"])
    entries.append([rng.choice(("class", "instance", "object", "module")), name, {}, {}])
    texts["objects"] = json.dumps(entries)


@signed
def odd_reference(texts, tensors, rng):
    fitted_ = json.loads(texts["fitted"])
    place = rng.choice((-1, 10**9, 1.0, "0", None, True, {"ref": 0}, [0]))
    fitted_[rng.choice(sorted(fitted_))] = {"ref": place}
    texts["fitted"] = json.dumps(fitted_)


@signed
def reference_forward(texts, tensors, rng):
    entries = json.loads(texts["objects"])
    entries.insert(rng.randrange(len(entries) + 1), ["list", [{"ref": len(entries)}]])
    texts["objects"] = json.dumps(entries)


@signed
def path_for_a_tensor(texts, tensors, rng):
    tensors[rng.choice(("../../etc/passwd", "/etc/shadow", "C:\\boot.ini", "~/.ssh/id"))] = np.ones(
        3
    )


@signed
def lost_tensor(texts, tensors, rng):
    if tensors:
        del tensors[rng.choice(sorted(tensors))]
    else:
        texts["objects"] = "[]"


@signed
def deep(texts, tensors, rng):
    name = rng.choice(("parameters", "fitted", "objects"))
    texts[name] = rng.choice(("[" * 200_000, '{"a":' * 200_000, "9" * 100_000, "", "NaN", "{"))


@signed
def methods_as_attributes(texts, tensors, rng):
    fitted_ = json.loads(texts["fitted"])
    fitted_[rng.choice(("__init__", "__class__", "get_params", "__getstate__", "a b", "save"))] = 1
    texts["fitted"] = json.dumps(fitted_)


@signed
def other_shape(texts, tensors, rng):
    entries = json.loads(texts["objects"])
    entries.append(
        rng.choice(
            (
                ["objects", [2**62], []],
                ["texts", "<U1000000000", [1], ["a"]],
                ["texts", "<f8", [1], ["a"]],
                ["times", "M8[fortnight]", 1],
                ["objects", [-5], [1]],
                ["tensor", "none", {}],
                ["scalar", 3],
                ["nothing"],
                [],
                None,
                ["dtype", "complex128"],
                ["device", "moon"],
                ["date", "yesterday"],
                ["timedelta", 10**12, 0, 0],
                ["bytes", "xy"],
                ["dict", [[{"ref": 0}]]],
                ["list", 3],
                ["module", "Linear", {"in_features": 2**50}],
                ["users", "Mine", {"a": {"ref": 0}}, {}],
            )
        )
    )
    texts["objects"] = json.dumps(entries)


ACCIDENTS = [flip, flip, flip_in_header, truncate, extend, swap, blank]
ACCIDENTS += [hostile_size, hostile_header, other_texts, other_texts]
FORGERIES = [not_finite, unknown_class, odd_reference, reference_forward, path_for_a_tensor]
FORGERIES += [lost_tensor, deep, methods_as_attributes, other_shape]


def outcome(path, data, parts):
    """What comes of loading, or the type of the refusal."""
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeftOutWarning)
            return load(path, **parts)
    except (ValueError, OSError) as error:
        refusal = error
    assert str(path) in str(refusal), refusal  # it says which file
    assert len(str(refusal)) < 2000
    return type(refusal)


def test_tampered_files_are_refused_or_are_the_same(base, tmp_path):
    expected = {name: answers(fitted(name)) for name in BASES}
    counts = {}
    for seed in range(N_FILES):
        rng = random.Random(seed)
        name = rng.choice(list(BASES))
        tamper = rng.choice(ACCIDENTS + FORGERIES)
        if tamper is not_finite and name == "scaler":  # without weights
            name = "own backbone"
        data = tamper(base[name], rng)
        found = outcome(tmp_path / "m", data, BASES[name])
        refused = isinstance(found, type)
        if not refused:
            same = np.array_equal(answers(found), expected[name])
            assert same, f"seed {seed}: {tamper.__name__} of {name} is read as another model"
        of_kind = counts.setdefault(tamper.__name__, [0, 0])
        of_kind[refused] += 1
    assert sum(map(sum, counts.values())) == N_FILES
    assert len(counts) == len(set(ACCIDENTS + FORGERIES))
    # What was changed is refused; only what changed nothing (two equal blocks) may be read.
    assert sum(read for read, _ in counts.values()) <= N_FILES // 50, counts
    for forge in FORGERIES:
        assert not counts[forge.__name__][0], forge.__name__


def random_change(node, rng):
    """Put something else in the place of one value of a JSON."""
    while True:
        inner = node.items() if isinstance(node, dict) else enumerate(node)
        places = [(key, value) for key, value in inner]
        if not places:
            return
        key, value = rng.choice(places)
        if isinstance(value, dict | list) and value and rng.random() < 0.85:
            node = value
            continue
        node[key] = rng.choice(
            (None, True, -1, 10**30, 1e308, "", "x", [], {}, {"ref": 0}, [[]], {"float": "nan"})
        )
        return


def test_forged_states_raise_nothing_else(base, tmp_path):
    n_refused = 0
    for seed in range(300):
        rng = random.Random(seed)
        name = rng.choice(list(BASES))
        texts, tensors = unpack(bytearray(base[name]))
        part = rng.choice(("objects", "objects", "fitted", "parameters"))
        changed = json.loads(texts[part])
        random_change(changed, rng)
        texts[part] = json.dumps(changed)
        found = outcome(tmp_path / "m", pack(texts, tensors), BASES[name])
        n_refused += isinstance(found, type)
    assert n_refused > 100


def test_every_bit_of_a_small_file_counts(base, tmp_path):
    data = base["scaler"]
    for place in range(0, len(data), 3):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        assert isinstance(outcome(tmp_path / "m", bytes(changed), {}), type), place
