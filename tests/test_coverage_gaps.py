"""Which undecided images are least like anything decided."""

import numpy as np

from curate.coverage_gaps import gaps


def oracle(vectors: np.ndarray, categories: list[str], decided: np.ndarray, most: int) -> list[int]:
    """Greedy k-center with plain loops; ties by index."""
    held = {
        c: [i for i, d in enumerate(decided) if d and categories[i] == c] for c in dict.fromkeys(categories)
    }
    picks: list[int] = []
    for _ in range(most):
        best, best_distance = -1, 0.0
        for category, members in held.items():
            undecided = [
                i for i, c in enumerate(categories) if c == category and not decided[i] and i not in picks
            ]
            if not undecided:
                continue
            if not members:
                middle = vectors[[i for i, c in enumerate(categories) if c == category]].mean(axis=0)
                candidate = min(undecided, key=lambda i: float(np.linalg.norm(vectors[i] - middle)))
                distance = np.inf
            else:
                to_held = {
                    i: min(float(np.linalg.norm(vectors[i] - vectors[j])) for j in members) for i in undecided
                }
                candidate = max(undecided, key=lambda i: to_held[i])
                distance = to_held[candidate]
            if distance > best_distance:
                best, best_distance = candidate, distance
        if best < 0:
            break
        picks.append(best)
        held[categories[best]].append(best)
    return picks


def test_the_order_is_that_of_a_slow_search() -> None:
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(60, 5)).astype(np.float32)
    categories = [("a", "b", "c")[i % 3] for i in range(60)]
    decided = rng.random(60) < 0.2
    decided[2::3] = False  # nothing of "c"
    order, distances = gaps(vectors, categories, decided, 15)
    assert order.tolist() == oracle(vectors, categories, decided, 15)
    assert categories[order[0]] == "c" and np.isinf(distances[0])
    assert (np.diff(distances[1:]) <= 1e-5).all()


def test_ten_copies_of_an_unusual_image_take_one_place() -> None:
    rng = np.random.default_rng(8)
    usual = rng.normal(size=(40, 4))
    vectors = np.vstack([usual, np.full((10, 4), 50.0), np.full((1, 4), -30.0)]).astype(np.float32)
    decided = np.zeros(51, dtype=bool)
    decided[:5] = True
    order, _ = gaps(vectors, ["a"] * 51, decided, 10)
    assert order[0] in range(40, 50)
    assert order[1] == 50
    assert not set(order[2:].tolist()) & set(range(40, 51))


def test_copies_of_decided_images_are_never_picked() -> None:
    vectors = 1000.0 + np.repeat(np.random.default_rng(9).normal(size=(6, 3)), 3, axis=0).astype(np.float32)
    decided = np.arange(18) % 3 == 0
    order, _ = gaps(vectors.astype(np.float32), ["a"] * 18, decided)
    assert order.tolist() == []


def test_nothing_to_pick_from() -> None:
    none = np.zeros((0, 1), dtype=np.float32)
    assert gaps(none, [], np.zeros(0, dtype=bool))[0].tolist() == []
    one = np.ones((3, 2), dtype=np.float32)
    assert gaps(one, ["a"] * 3, np.ones(3, dtype=bool))[0].tolist() == []
    assert len(gaps(one, ["a"] * 3, np.zeros(3, dtype=bool))[0]) == 1  # the others are its copies
    assert gaps(one, ["a"] * 3, np.zeros(3, dtype=bool), 0)[0].tolist() == []


def test_progress_counts_every_image_once() -> None:
    told: list[int] = []
    vectors = np.random.default_rng(10).normal(size=(20, 3)).astype(np.float32)
    gaps(vectors, ["a"] * 12 + ["b"] * 8, np.zeros(20, dtype=bool), 5, told.append)
    assert sorted(told) == [8, 12]
