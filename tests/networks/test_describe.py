"""What `describe` says about networks whose shapes, sizes and operations are known by other means."""

import json

import pytest
import torch
from torch import Tensor, nn

from scoresde.core.errors import UsageError
from scoresde.networks.describe import describe
from scoresde.networks.unet import UNetOptions
from scoresde.training import config as configuration

torch.set_num_threads(1)


class Tiny(nn.Module):
    """Two layers whose cost can be counted by hand, with a part that is in eval mode while the rest trains."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1)
        self.norm = nn.GroupNorm(1, 5)
        self.frozen = nn.Dropout(0.5).eval()
        self.pool = nn.AvgPool2d(2)
        self.last = nn.Conv2d(5, 3, 1)
        self.runs = 0

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        self.runs += x.device.type != "meta"
        out: Tensor = self.last(self.pool(self.frozen(self.norm(self.conv(x))))) + label[:, None, None, None]
        return out


def test_the_question_about_512_pixels() -> None:
    # 128 channels with multipliers 1, 2, 4: 128@256, 256@128, 512@64 on the way down, 512@64 in the middle, and
    # 256@128, 128@256, 128@512 on the way up.
    config = configuration.load("unet-512", ["data.size=512"])
    with torch.device("meta"):
        net = config.network.build((3, 512, 512))
    description = describe(net, (3, 512, 512), timed=False)
    shapes = {row.module: row.shape for row in description.rows}
    down = [(128, 256, 256), (256, 128, 128), (512, 64, 64)]
    assert [shapes[f"down.{i}"] for i in range(3)] == down and shapes["middle"] == (512, 64, 64)
    assert [shapes[f"up.{i}"] for i in range(3)] == [(256, 128, 128), (128, 256, 256), (128, 512, 512)]
    assert shapes["first"] == (128, 512, 512) and shapes[""] == (3, 512, 512)
    lines = description.text(depth=2).splitlines()
    assert "down.2     Block       512 x 64 x 64" in lines
    assert not any("conv1" in line for line in lines)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_kernel_of_the_stem_is_shown_and_changes_no_shape(kernel: int) -> None:
    with torch.device("meta"):
        net = UNetOptions(channels=8, multipliers=(1, 2), blocks=1, stem_kernel=kernel).build((3, 9, 8))
    first = describe(net, (3, 9, 8), timed=False).rows[3]
    assert (first.module, first.kind, first.shape) == ("conv_in", f"Conv2d {kernel}x{kernel}", (8, 9, 8))


def test_every_feature_map_is_listed_in_order_of_execution() -> None:
    description = describe(Tiny(), (2, 6, 4), timed=False)
    # The normalisation and the dropout change no shape and mix no channels.
    assert [(row.module, row.kind, row.shape) for row in description.rows] == [
        ("conv", "Conv2d 3x3", (5, 6, 4)),
        ("pool", "AvgPool2d", (5, 3, 2)),
        ("last", "Conv2d 1x1", (3, 3, 2)),
        ("", "Tiny", (3, 3, 2)),
    ]


@pytest.mark.parametrize("batch", [1, 3])
def test_parameters_and_operations_are_those_counted_by_hand(batch: int) -> None:
    description = describe(Tiny(), (2, 6, 4), batch=batch, timed=False)
    assert description.parameters == (2 * 9 * 5 + 5) + (5 + 5) + (5 * 3 + 3)
    assert description.flops == batch * 2 * (6 * 4 * 5 * 2 * 9 + 3 * 2 * 3 * 5)


def test_attention_is_counted() -> None:
    # Two products of 64x64 scores with 8 channels, and four linear layers, in each of the three attentions that
    # the option adds: one on the way down, two on the way up.
    counts = [
        describe(UNetOptions(channels=8, multipliers=(1, 1), blocks=1, attention=a).build((1, 8, 8)), (1, 8, 8)).flops
        for a in ((), (8,))
    ]
    assert counts[1] - counts[0] == 3 * 2 * (2 * 64 * 64 * 8 + 4 * 64 * 8 * 8)


def test_the_network_is_left_as_it_was() -> None:
    net = Tiny()
    before = {name: p.clone() for name, p in net.named_parameters()}
    describe(net, (2, 6, 4), repeats=2)
    assert net.training and net.conv.training and not net.frozen.training
    assert all(not module._forward_hooks for module in net.modules())
    assert all(torch.equal(p, before[name]) and p.device.type == "cpu" for name, p in net.named_parameters())


def test_the_time_is_measured_on_request_only() -> None:
    net = Tiny()
    assert describe(net, (2, 6, 4), timed=False).milliseconds is None
    assert net.runs == 0
    milliseconds = describe(net, (2, 6, 4), repeats=3).milliseconds
    assert milliseconds is not None and milliseconds > 0
    assert net.runs == 4


def test_text_and_dictionary_hold_everything() -> None:
    description = describe(Tiny(), (2, 6, 4), batch=2, timed=False)
    lines = description.text().splitlines()
    assert lines[0].split() == ["module", "kind", "output"]
    assert lines[1] == "input                  2 x 6 x 4"
    assert lines[2] == "conv       Conv2d 3x3  5 x 6 x 4"
    assert lines[-2:] == ["parameters   123", "operations   9,000 per forward of 2"]
    assert "ms per forward of 1" in describe(Tiny(), (2, 6, 4)).text()
    plain = json.loads(json.dumps(description.to_dict()))
    assert plain["flops"] == 9000 and plain["milliseconds"] is None
    assert plain["rows"][0] == {"module": "conv", "kind": "Conv2d 3x3", "shape": [5, 6, 4]}


def test_wrong_requests_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="batch and repeats must be at least 1, got 0 and 5"):
        describe(Tiny(), (2, 6, 4), batch=0)
    with pytest.raises(UsageError, match="does not take an input of shape 4 x 6 x 4"):
        describe(Tiny(), (4, 6, 4))
