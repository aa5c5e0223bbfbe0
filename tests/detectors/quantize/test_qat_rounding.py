"""Fake quantization computes what ONNX says, and its gradients are those that were published."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnxruntime
import torch
from onnx import TensorProto, helper

from detectors.quantize.fake_quant import (
    fake_quantize,
    fake_quantize_bias,
    fake_quantize_kernel,
)
from detectors.quantize.qdq import quantize_kernel
from pipeline.core.arrays import F32


def by_onnx(values: F32, scale: float) -> F32:
    """QuantizeLinear and DequantizeLinear, run by ONNX Runtime."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
        helper.make_tensor("zero", TensorProto.INT8, [], [0]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [values.size]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "pair", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (found,) = session.run(None, {"x": values})
    return np.asarray(found, np.float32)


@pytest.mark.parametrize("scale", [0.5, 0.03, 1 / 127, 3.7])
def test_values_are_those_of_onnx(scale: float) -> None:
    rng = np.random.default_rng(0)
    ties = (np.arange(-140, 140, dtype=np.float32) + 0.5) * np.float32(scale)
    random = (rng.normal(size=100_000) * 60 * scale).astype(np.float32)
    values = np.concatenate([ties, random, np.array([0, -0.0, 1e9, -1e9], np.float32)])
    found = fake_quantize(torch.from_numpy(values), torch.tensor(scale))
    np.testing.assert_array_equal(found.numpy(), by_onnx(values, scale))


def test_ties_go_to_the_even_step_and_ends_saturate() -> None:
    values = torch.tensor([0.25, 0.75, 1.25, -0.25, -0.75, 1000.0, -1000.0])
    found = fake_quantize(values, torch.tensor(0.5))
    assert found.tolist() == [0.0, 1.0, 1.0, 0.0, -1.0, 63.5, -64.0]


@pytest.mark.parametrize("axis", [0, 1])
def test_kernels_are_those_of_the_file(axis: int) -> None:
    kernel = np.random.default_rng(axis).normal(size=(6, 5, 3, 3)).astype(np.float32)
    kernel[2] = 0
    integers, scale = quantize_kernel(kernel, axis)
    shape = [1] * 4
    shape[axis] = -1
    found, found_scale = fake_quantize_kernel(torch.from_numpy(kernel), axis)
    np.testing.assert_array_equal(found_scale.numpy(), scale)
    wanted = integers.astype(np.float32) * scale.reshape(shape)
    np.testing.assert_array_equal(found.numpy(), wanted)


def test_bias_is_a_whole_number_of_steps_of_the_sum() -> None:
    scale = torch.tensor([1e-3, 2e-3, 1e-9])
    found = fake_quantize_bias(torch.tensor([0.01234, -0.0051, 7.0]), scale)
    assert found[:2].tolist() == pytest.approx([0.012, -0.006])
    assert float(found[2]) == pytest.approx(2**31 * 1e-9)


def test_gradient_goes_straight_through_and_stops_where_values_saturate() -> None:
    values = torch.tensor([0.3, -0.2, 63.6, 64.0, -64.3, -70.0], requires_grad=True)
    torch.autograd.backward(fake_quantize(values, torch.tensor(0.5)), torch.arange(1.0, 7.0))
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 3, 0, 0, 0]


def test_gradient_of_a_scale_is_that_of_learned_step_size() -> None:
    values = torch.tensor([0.3, -0.2, 64.0, -70.0])
    scale = torch.tensor(0.5, requires_grad=True)
    upstream = torch.tensor([1.0, 2.0, 3.0, 4.0])
    torch.autograd.backward(fake_quantize(values, scale), upstream)
    slopes = torch.tensor([1 - 0.6, 0 + 0.4, 127, -128])
    wanted = float((slopes * upstream).sum()) / (4 * 127) ** 0.5
    assert scale.grad is not None
    assert float(scale.grad) == pytest.approx(wanted, rel=1e-5)


def test_gradients_of_kernel_and_bias_are_their_own() -> None:
    kernel = torch.randn(3, 2, 1, 1, requires_grad=True)
    bias = torch.randn(3, requires_grad=True)
    rounded, scale = fake_quantize_kernel(kernel, 0)
    upstream = torch.randn(3, 2, 1, 1)
    torch.autograd.backward(rounded, upstream)
    torch.autograd.backward(fake_quantize_bias(bias, scale).sum())
    assert not scale.requires_grad
    assert kernel.grad is not None
    assert torch.equal(kernel.grad, upstream)
    assert bias.grad is not None
    assert bias.grad.tolist() == [1, 1, 1]


def test_inference_and_autocast_change_nothing() -> None:
    values = torch.randn(1000)
    scale = torch.tensor(0.02)
    wanted = fake_quantize(values.clone().requires_grad_(), scale).detach()
    with torch.inference_mode():
        assert torch.equal(fake_quantize(values, scale), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fake_quantize(values, scale), wanted)
