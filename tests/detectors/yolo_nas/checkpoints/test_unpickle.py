"""Files of torch.save: read whole where they hold data, refused by name where they hold more."""

import collections
import contextlib
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.yolo_nas.checkpoints.stand_ins import table
from detectors.yolo_nas.checkpoints.torch_file import load
from detectors.yolo_nas.checkpoints.unpickle import RefusedPickle, unpickle
from detectors.yolo_nas.errors import CheckpointError
from tests.detectors.yolo_nas.torch_files import Calls, saved


def test_a_file_that_would_run_a_command_is_refused_by_name_and_runs_nothing(
    tmp_path: Path,
) -> None:
    touched = tmp_path / "touched"
    path = saved(tmp_path / "hostile.pth", Calls(os.system, f"touch {touched}"))
    with pytest.raises(CheckpointError, match=r"hostile\.pth: wants to call posix\.system: refus"):
        load(path)
    assert not touched.exists()
    torch.load(path, weights_only=False)  # it would have
    assert touched.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("true",), "posix.system"),
        (eval, ("1",), "builtins.eval"),
        (exec, ("1",), "builtins.exec"),
        (getattr, ("", "upper"), "builtins.getattr"),
        (open, ("/dev/null",), "io.open"),
        (torch.load, ("nothing",), "torch.serialization.load"),
        (np.load, ("nothing",), "numpy.load"),
        (Path, ("/",), "pathlib.Path"),
    ],
)
def test_a_call_hidden_in_the_metrics_is_refused_by_name(
    tmp_path: Path, function: Callable[..., Any], arguments: Any, name: str, protocol: int
) -> None:
    hidden = {"valid": {"loss": [0.5, Calls(function, *arguments)]}}
    content = {"ema_net": {"weight": torch.ones(2)}, "acc": np.float64(0.5), "metrics": hidden}
    with pytest.raises(CheckpointError, match=f"wants to call {name}: refused"):
        load(saved(tmp_path / "hostile.pth", content, protocol))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (b"(S'true'\nios\nsystem\n.", r"instruction STRING true: refused"),
        (b"(ios\nsystem\n.", r"uses the instruction INST os system: refused"),
        (b"\x80\x02(cos\nsystem\no.", r"wants to call os\.system: refused"),
        (b"\x80\x02\x82\x01.", r"uses the instruction EXT1"),
        (b"\x80\x02ccollections\nOrderedDict\n}b.", r"damaged: the state of a plain value"),
        (b"\x80\x02cbuiltins\nlist\n)R.", r"wants to call builtins\.list: refused"),
        (b"\x80\x02X\x02\x00\x00\x00os)R.", r"wants to call a str: refused"),
        (b"\x80\x02ccollections\nOrderedDict\n]R.", r"wants to call collections\.OrderedDict: ref"),
        (b"\x80\x02}))s.", r"damaged: a tuple as a key"),
        (b"\x80\x02]q\x00h\x00a.", r"damaged: a value that holds itself"),
        (b"\x80\x02)K\x01a.", r"damaged: an element of what is no list"),
        (b"\x80\x02h\x07.", r"damaged: 7"),
        (b"\x80\x02\x8a\x21" + b"\x01" * 33 + b".", r"damaged: a number over 256 bits"),
        (b"\x80\x02ctorch\nSize\nX\x02\x00\x00\x00ab\x85R.", r"a str in place of elements"),
        (b"\x80\x02cbuiltins\nset\nX\x02\x00\x00\x00ab\x85R.", r"a str in place of elements"),
        (
            b"\x80\x02ccollections\nOrderedDict\n]X\x02\x00\x00\x00aba\x85R.",
            r"a str in place of elements",
        ),
        (b"\x80\x02comegaconf.nodes\nAnyNode\n)R]b.", r"OmegaConf without attributes"),
        (b"\x80\x020.", r"uses the instruction POP"),
        (b"\x80\x02K\x01K\x02.", r"damaged: too many values"),
        (b"\x80\x02K\x01", r"damaged: pickle exhausted before seeing STOP"),
        (b"\x80\x02", r"damaged"),
        (b"", r"damaged"),
        (b"\xff\xff", r"damaged"),
    ],
)
def test_a_pickle_made_by_hand_is_refused(program: bytes, said: str) -> None:
    with pytest.raises(RefusedPickle, match=said):
        unpickle(program, table())


def test_depth_and_repetition_cost_an_error_and_no_memory() -> None:
    deep = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."
    with pytest.raises(RefusedPickle, match="damaged: maximum recursion depth"):
        unpickle(deep, table())
    text = b"X" + (10_000).to_bytes(4, "little") + b"x" * 10_000 + b"q\x01"
    again = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R0"
    bomb = b"\x80\x02" + text + b"(" + again.replace(b"0", b"") * 1000 + b"t."
    with pytest.raises(RefusedPickle, match="far more data than it holds"):
        unpickle(bomb, table())


def test_a_text_is_not_repeated_before_it_is_counted() -> None:
    text = b"X" + (10_000).to_bytes(4, "little") + b"x" * 10_000 + b"q\x01"
    many = b"\x80\x02ctorch\ndevice\n(" + text + b"h\x01" * 20_000 + b"tR."
    tracemalloc.start()
    with pytest.raises(RefusedPickle, match="a device or version that is no text"):
        unpickle(many, table())
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 10_000_000


def test_containers_cost_what_they_hold() -> None:
    with pytest.raises(RefusedPickle, match="far more data than it holds"):
        unpickle(b"\x80\x04(" + b"\x8f" * 10_000 + b"t.", table())
    empty: list[dict[str, Any]] = [{} for _ in range(10_000)]
    assert unpickle(pickle.dumps(empty, 4), table()) == empty


def test_sharing_costs_nothing_but_has_a_limit() -> None:
    shared: list[Any] = ["x" * 100] * 100
    for _ in range(40):
        shared = [shared, shared]
    for hostile in (shared, {"processing_params": shared}, (shared, 1)):
        with pytest.raises(RefusedPickle, match="written out in full it would have no end"):
            unpickle(pickle.dumps(hostile, 2), table())
    twice = unpickle(pickle.dumps([[1, 2]] * 2, 2), table())
    assert twice == [[1, 2], [1, 2]]
    assert twice[0] is twice[1]
    with pytest.raises(RefusedPickle, match="a device or version that is no text"):
        unpickle(b"\x80\x02ctorch\ndevice\n]\x85R.", table())


def test_everything_that_training_scripts_save_comes_back(tmp_path: Path) -> None:
    network = torch.nn.Linear(3, 4)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    content = {
        "net": network.state_dict(),
        "parameter": network.weight,
        "optimizer": optimizer.state_dict(),
        "strided": torch.arange(12).reshape(3, 4)[:, 1:3].t(),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "nothing": torch.empty(0),
        "packages": {"torch": torch.__version__},
        "counts": collections.defaultdict(int, a=1),
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "set": {1, "x"},
    }
    found = load(saved(tmp_path / "c.pth", content))
    for name in ("weight", "bias"):
        torch.testing.assert_close(found["net"][name], network.state_dict()[name])
    wanted = optimizer.state_dict()
    assert found["optimizer"]["param_groups"] == wanted["param_groups"]
    torch.testing.assert_close(found["optimizer"]["state"], wanted["state"])
    for name in ("parameter", "strided", "half", "nothing"):
        tensor = content[name]
        assert isinstance(tensor, torch.Tensor)
        torch.testing.assert_close(found[name], tensor.detach())
    plain = {name: found[name] for name in ("packages", "counts", "device", "size", "set")}
    version = str(torch.__version__)
    assert plain == {
        "packages": {"torch": version},
        "counts": {"a": 1},
        "device": "cpu",
        "size": (1, 2),
        "set": {1, "x"},
    }


@pytest.mark.parametrize("module", ["numpy._core.multiarray", "numpy.core.multiarray"])
def test_numbers_and_arrays_of_old_and_new_numpy_become_plain(module: str) -> None:
    values = {
        "f": np.float64(0.25),
        "i": np.int32(-7),
        "b": np.bool_(True),
        "s": np.str_("ü"),
        "big_endian": np.array([1, 2], ">i4"),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    }
    program = pickle.dumps(values, 2).replace(b"numpy._core.multiarray", module.encode())
    found = unpickle(program, table())
    assert {name: found[name] for name in "fibs"} == {"f": 0.25, "i": -7, "b": True, "s": "ü"}
    assert [type(found[name]) for name in "fib"] == [float, int, bool]
    np.testing.assert_array_equal(found["big_endian"], [1, 2])
    np.testing.assert_array_equal(found["fortran"], values["fortran"])


def test_arrays_of_objects_and_compounds_are_refused() -> None:
    with pytest.raises(RefusedPickle, match="NumPy array of 'O8': refused, numbers only"):
        unpickle(pickle.dumps(np.array([{}, None], object), 2), table())
    with pytest.raises(RefusedPickle, match="compound NumPy dtype: refused"):
        unpickle(pickle.dumps(np.zeros(2, [("a", "i4")]), 2), table())


def test_lists_of_omegaconf_are_read_without_it() -> None:
    """As recipes leave them in `class_names`: nodes that know their parent and their kind."""

    class Node:
        def __init__(self, module: str, name: str, **state: Any) -> None:
            self.module, self.name, self.state = module, name, state

    def write(node: Any) -> bytes:
        if not isinstance(node, Node):
            return pickle.dumps(node, 2)[2:-1]
        made = f"comegaconf.{node.module}\n{node.name}\n".encode() + b")\x81"
        items = b"".join(write(key) + write(value) for key, value in node.state.items())
        return made + b"}(" + items + b"ub"

    def listed(*elements: Node) -> bytes:
        inner = b"](" + b"".join(map(write, elements)) + b"e"
        state = b"}(" + write("_content") + inner + write("_metadata")
        meta = write(Node("base", "ContainerMetadata", object_type="list"))
        return b"\x80\x02comegaconf.listconfig\nListConfig\n)\x81" + state + meta + b"ub."

    names = [Node("nodes", "AnyNode", _val=name, _parent=None) for name in ("cat", "dog")]
    assert unpickle(listed(*names), table()) == ["cat", "dog"]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from([2, 3, 4, 5]))
def test_plain_data_of_any_protocol_comes_back(value: Any, protocol: int) -> None:
    assert unpickle(pickle.dumps(value, protocol), table()) == value


GOOD = pickle.dumps(
    {"net": collections.OrderedDict(a=1.5), "x": np.float32(2), "y": [(1, "z"), {2}, b"b"]}, 2
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4))
def test_damage_is_an_error_or_other_data(changes: list[tuple[int, int]]) -> None:
    program = bytearray(GOOD)
    for place, value in changes:
        program[place] = value
    with contextlib.suppress(RefusedPickle):
        unpickle(bytes(program), table())


@given(st.integers(0, len(GOOD) - 1))
def test_a_pickle_cut_short_is_damaged(length: int) -> None:
    with pytest.raises(RefusedPickle):
        unpickle(GOOD[:length], table())
