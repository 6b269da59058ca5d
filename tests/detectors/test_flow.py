import math

import pytest
import torch
from torch import nn

from detectors.blocks.flow import Flow, flow_loss, n_weights, soft_clamp
from detectors.blocks.trainer import Training, train
from detectors.loop import Loop

N = 7  # odd, so that the halves differ


def flow(n: int = N, n_blocks: int = 3, hidden: int = 16, seed: int = 0) -> Flow:
    torch.manual_seed(seed)
    return Flow(n, n_blocks, hidden, 3.0, seed)


def points(n_points: int = 5, n: int = N) -> torch.Tensor:
    return 3 * torch.randn(n_points, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("n", [2, 7, 8])
def test_log_det_equals_the_one_of_autograds_jacobian(n):
    net, x = flow(n).double(), points(n=n)
    with torch.no_grad():
        _, log_det = net(x)
    for row, found in zip(x, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda one: net(one[None])[0][0], row)
        assert float(found) == pytest.approx(float(torch.linalg.slogdet(jacobian).logabsdet), abs=1e-10)
        assert float(found) != 0


@pytest.mark.parametrize("n", [2, 7, 8])
def test_inverse_undoes_the_flow(n):
    net, x = flow(n).double(), points(n=n)
    with torch.no_grad():
        z, _ = net(x)
        assert not torch.allclose(z, x, atol=0.1)
        assert torch.allclose(net.inverse(z), x, atol=1e-10)
        assert torch.allclose(net(net.inverse(x))[0], x, atol=1e-10)


def test_one_block_is_the_coupling_written_out():
    net = flow(n_blocks=1).double()
    (block,) = net.blocks
    x = points(1)
    with torch.no_grad():
        first, second = x[:, block.permutation][:, :3], x[:, block.permutation][:, 3:]
        s, t = block.of_second(second).split([3, 3], dim=1)
        y1 = first * torch.exp(3 * 2 / math.pi * torch.atan(s / 3)) + t
        s, t = block.of_first(y1).split([4, 4], dim=1)
        y2 = second * torch.exp(3 * 2 / math.pi * torch.atan(s / 3)) + t
        assert torch.allclose(net(x)[0], torch.cat([y1, y2], dim=1))


def test_soft_clamp_is_the_identity_near_zero_up_to_its_slope_and_bounded_far_away():
    s = torch.linspace(-1e4, 1e4, 999, dtype=torch.float64)
    assert soft_clamp(s, 2.0).abs().max() < 2
    assert (soft_clamp(s, 2.0).diff() > 0).all()
    assert float(soft_clamp(torch.tensor(1e-6, dtype=torch.float64), 2.0)) == pytest.approx(
        2 / math.pi * 1e-6
    )


def test_rows_do_not_depend_on_each_other():
    net, x = flow().double(), points()
    with torch.no_grad():
        together = net(x)
        for index in range(len(x)):
            alone = net(x[index : index + 1])
            assert torch.allclose(alone[0][0], together[0][index])
            assert torch.allclose(alone[1][0], together[1][index])


def test_permutations_differ_between_blocks_and_follow_the_seed():
    orders = [block.permutation for block in flow().blocks]
    assert all(torch.equal(order.sort().values, torch.arange(N)) for order in orders)
    assert len({tuple(order.tolist()) for order in orders}) == 3
    again = [block.permutation for block in flow().blocks]
    assert all(torch.equal(a, b) for a, b in zip(orders, again, strict=True))


def test_permutations_are_saved_and_come_back_into_a_flow_of_another_seed():
    net, other = flow(seed=0).double(), flow(seed=1).double()
    assert not torch.equal(net.blocks[0].permutation, other.blocks[0].permutation)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.blocks[0].permutation, other.blocks[0].permutation)
    with torch.no_grad():
        assert torch.equal(net(points())[0], other(points())[0])
        assert torch.allclose(other.inverse(net(points())[0]), points())


def test_loss_is_the_negative_log_likelihood_per_feature_less_its_constant():
    z, log_det = points(4), torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    log_likelihood = normal.log_prob(z).sum(dim=1) + log_det
    expected = -log_likelihood.mean() / N - 0.5 * math.log(2 * math.pi)
    assert float(flow_loss(z, log_det)) == pytest.approx(float(expected))


def test_trained_on_gaussian_data_the_likelihood_approaches_the_true_entropy():
    n = 4
    generator = torch.Generator().manual_seed(3)
    mixing = torch.randn(n, n, generator=generator) + torch.eye(n)
    net: nn.Module = flow(n, n_blocks=4, hidden=32)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    constant = 0.5 * math.log(2 * math.pi)
    entropy = constant + 0.5 + float(torch.linalg.slogdet(mixing).logabsdet) / n  # nats per feature

    def step(_: int, drawing: torch.Generator) -> torch.Tensor:
        return flow_loss(*net(torch.randn(256, n, generator=drawing) @ mixing.T))

    fresh = torch.randn(20_000, n, generator=generator) @ mixing.T
    with torch.no_grad():
        before = float(flow_loss(*net(fresh))) + constant
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    training = Training("toy", {"flow": net}, optimizer, step, 400, 0, "toy", scheduler, n_threads=1)
    train(training, Loop())
    with torch.no_grad():
        after = float(flow_loss(*net(fresh))) + constant
    assert before - entropy > 0.5
    assert -0.03 < after - entropy < 0.06


@pytest.mark.parametrize("n", [2, 7, 8])
def test_counted_weights_are_those_of_the_flow(n):
    assert n_weights(n, 3, 16) == sum(each.numel() for each in flow(n).parameters())


def test_a_single_feature_cannot_be_split():
    with pytest.raises(ValueError, match="at least 2 features to split into halves, found 1"):
        flow(n=1)
