"""The training loop: stopped, killed and resumed trainings end with the tensors of an uninterrupted one."""

import numpy as np
import pytest
import torch
from torch import nn

from detectors.blocks.trainer import Diverged, Training, step_seed, train, training_key
from detectors.config import TrainedConfig
from detectors.loop import Loop, Progress

N_STEPS = 12


def training(key: str = "k", learning_rate: float = 1e-2, scale: float = 1.0) -> Training:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)

    def step(number: int, generator: torch.Generator) -> torch.Tensor:
        inputs = torch.randn(16, 5, generator=generator)
        return ((net(inputs)[:, 0] - inputs.sum(dim=1)) ** 2).mean() * scale

    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    return Training("toy", {"net": net}, optimizer, step, N_STEPS, seed=5, key=key, scheduler=schedule)


def tensors(done: Training) -> dict[str, torch.Tensor]:
    return done.modules["net"].state_dict()


def stopping_after(n: int, folder) -> Loop:
    seen: list[Progress] = []
    return Loop(seen.append, lambda: len(seen) >= n, None, folder)


def test_a_stopped_training_goes_on_and_ends_with_the_same_tensors(tmp_path):
    whole = training()
    assert train(whole, Loop()) == N_STEPS
    first = training()
    assert train(first, stopping_after(5, tmp_path)) == 5
    again = training()
    counted: list[Progress] = []
    assert train(again, Loop(counted.append, checkpoint=tmp_path)) == N_STEPS
    assert [event.step for event in counted] == list(range(6, N_STEPS + 1))
    for key, value in tensors(whole).items():
        assert torch.equal(tensors(again)[key], value), key


def test_a_checkpoint_of_another_training_is_not_used(tmp_path):
    train(training(key="other"), stopping_after(5, tmp_path))
    seen: list[Progress] = []
    train(training(key="this"), Loop(seen.append, checkpoint=tmp_path))
    assert seen[0].step == 1


def test_a_damaged_checkpoint_is_not_used(tmp_path):
    (tmp_path / "toy.pt").write_bytes(b"half a file")
    assert train(training(), Loop(checkpoint=tmp_path)) == N_STEPS


def test_a_finished_training_is_not_done_again(tmp_path):
    first = training()
    train(first, Loop(checkpoint=tmp_path))
    again = training()
    train(again, Loop(checkpoint=tmp_path))
    for key, value in tensors(first).items():
        assert torch.equal(tensors(again)[key], value), key
    assert not again.modules["net"].training


def test_modules_are_left_in_evaluation_mode():
    done = training()
    train(done, Loop())
    assert not done.modules["net"].training


def test_divergence_says_at_which_step_and_rate():
    with pytest.raises(Diverged, match=r"loss of toy is (inf|nan) at step \d+ of 12, with learning rate"):
        train(training(scale=float("inf")), Loop())


def test_neighbouring_steps_and_seeds_draw_unrelated_numbers():
    seeds = {step_seed(seed, number) for seed in range(20) for number in range(200)}
    assert len(seeds) == 4000


def test_a_key_depends_on_settings_facts_and_arrays_and_on_nothing_else():
    config = TrainedConfig()
    arrays = [np.zeros((2, 3), np.uint8), None, np.ones(2, np.float32)]
    key = training_key(config, (1, "hash"), arrays)
    resumed = TrainedConfig(time_budget_s=9.0, n_threads=3, profile="smoke")
    assert training_key(resumed, (1, "hash"), arrays) == key
    others = [
        training_key(TrainedConfig(n_steps=7), (1, "hash"), arrays),
        training_key(config, (2, "hash"), arrays),
        training_key(config, (1, "hash"), [arrays[0].reshape(3, 2), *arrays[1:]]),
        training_key(config, (1, "hash"), [arrays[0].astype(bool), *arrays[1:]]),
        training_key(config, (1, "hash"), [arrays[0] + 1, *arrays[1:]]),
        training_key(config, (1, "hash"), [arrays[0], arrays[2], None]),
        training_key(config, (1, "hash"), [arrays[0], arrays[2]]),
        training_key(config, (1, "hash"), arrays, without=("seed",)),
    ]
    assert len({key, *others}) == 1 + len(others)
    seeds = [training_key(TrainedConfig(seed=seed), 1, [], without=("seed",)) for seed in (0, 1)]
    assert seeds[0] == seeds[1]
