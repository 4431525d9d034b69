import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.errors import WeightsError
from facepipe.models.tensorflow_graph import constant, read_graph


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def attribute(name: str, value: bytes) -> bytes:
    return message(5, message(1, name.encode()) + message(2, value))


def node(name: str, op: str, *inputs: str, attributes: bytes = b"") -> bytes:
    body = message(1, name.encode()) + message(2, op.encode())
    return message(1, body + b"".join(message(3, source.encode()) for source in inputs) + attributes)


def shape(*sizes: int) -> bytes:
    return message(2, b"".join(message(2, number(1, size)) for size in sizes))


def const(name: str, tensor: bytes) -> bytes:
    return node(name, "Const", attributes=attribute("value", message(8, tensor)))


def test_nodes_with_every_kind_of_attribute() -> None:
    attributes = (
        attribute("padding", message(2, b"SAME"))
        + attribute("strides", message(1, message(3, varint(1) + varint(2))))
        + attribute("sizes", message(1, number(3, 5) + number(3, -1)))
        + attribute("T", number(6, 1))
        + attribute("N", number(3, -3))
        + attribute("keep", number(5, 1))
        + attribute("epsilon", message(4, b"")[:1].replace(b"\x22", b"\x25") + struct.pack("<f", 0.5))
        + attribute("shape", message(7, b""))
    )
    graph = read_graph(node("input", "Placeholder") + node("a", "Conv2D", "input:0", "^b", attributes=attributes))
    assert list(graph) == ["input", "a"]
    assert graph["a"].inputs == ("input",)
    expected = {"padding": b"SAME", "strides": [1, 2], "sizes": [5, -1], "T": 1, "N": -3, "keep": True, "epsilon": 0.5}
    assert graph["a"].attributes == expected


def test_constants_in_every_encoding() -> None:
    floats = np.arange(6, dtype="<f4")
    graph = read_graph(
        const("content", number(1, 1) + shape(2, 3) + message(4, floats.tobytes()))
        + const("packed", number(1, 1) + shape(2) + message(5, floats[:2].tobytes()))
        + const("scalar", number(1, 1) + message(2, b"") + b"\x2d" + struct.pack("<f", 0.25))
        + const("splat", number(1, 1) + shape(4, 2) + b"\x2d" + struct.pack("<f", 7.0))
        + const("integers", number(1, 3) + shape(2) + message(7, varint(-1) + varint(300)))
        + const("long", number(1, 9) + shape(2) + number(10, 5) + number(10, -6))
        + const("none", number(1, 1) + shape(0, 3))
    )
    np.testing.assert_array_equal(constant(graph, "content"), floats.reshape(2, 3))
    np.testing.assert_array_equal(constant(graph, "packed"), floats[:2])
    assert constant(graph, "scalar").shape == ()
    assert float(constant(graph, "scalar")) == 0.25
    np.testing.assert_array_equal(constant(graph, "splat"), np.full((4, 2), 7, np.float32))
    np.testing.assert_array_equal(constant(graph, "integers"), np.array([-1, 300], np.int32))
    np.testing.assert_array_equal(constant(graph, "long"), np.array([5, -6], np.int64))
    assert constant(graph, "none").shape == (0, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 30,  # an integer without an end
        b"\x0a\xff\xff\xff\xff\x0f",  # a field far longer than the file
        b"\x0b",  # a group
        node("a", "Relu") + node("a", "Relu"),
        message(1, message(1, b"nameless")),
        message(1, message(1, b"\xff\xfe") + message(2, b"Relu")),
        number(1, 5),  # an integer where a node belongs
        const("c", number(1, 1) + shape(3) + message(4, b"\0" * 8)),  # too few numbers
        const("c", number(1, 1) + shape(3) + message(4, b"\0" * 7)),  # half a number
        const("c", number(1, 1) + shape(1 << 40, 1 << 40) + b"\x2d\0\0\0\0"),
        const("c", number(1, 1) + shape(1 << 20, 1 << 20) + b"\x2d\0\0\0\0"),
        const("c", number(1, 1) + shape(-1) + b"\x2d\0\0\0\0"),
        const("c", number(1, 7) + shape(1) + message(4, b"text")),  # a tensor of strings
        const("c", number(1, 3) + shape(1) + number(7, 1 << 40)),  # too large for its type
    ],
)
def test_malformed_graphs_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsError, match="not a readable TensorFlow graph"):
        read_graph(data)


def test_a_missing_constant_is_named() -> None:
    graph = read_graph(node("a", "Relu"))
    with pytest.raises(WeightsError, match="'a'"):
        constant(graph, "a")
    with pytest.raises(WeightsError, match="'b'"):
        constant(graph, "b")


VALID = (
    node("x", "Placeholder")
    + const("w", number(1, 1) + shape(2, 2) + message(4, np.eye(2, dtype="<f4").tobytes()))
    + node("y", "MatMul", "x", "w", attributes=attribute("T", number(6, 1)))
)


def test_every_truncation_is_refused_or_a_shorter_graph() -> None:
    for end in range(len(VALID)):
        try:
            assert set(read_graph(VALID[:end])) < {"x", "w", "y"}
        except WeightsError:
            continue


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(VALID) - 1))] = data.draw(st.integers(0, 255))
    with suppress(WeightsError):
        read_graph(bytes(damaged))


@given(st.binary(max_size=200))
def test_random_bytes_never_crash(data: bytes) -> None:
    with suppress(WeightsError):
        read_graph(data)
