"""Teachers and the network that learns from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import uf1
from micromimic.models.preprocess import center, mirror
from micromimic.synthesis.maps import MapConfig, generate_maps

pytestmark = pytest.mark.needs("train")


@pytest.fixture(scope="module")
def config():
    from weights.config import FlowConfig

    return FlowConfig(seed=5, maps=300, measured=0, epochs=4, teachers=3, lessons=12)


def test_each_teacher_has_maps_of_its_own_and_shares_the_rest(config) -> None:
    from weights.flow_maps import lessons_of

    lessons = lessons_of(replace(config, measured=90), drawn="mesh")
    assert [len(part.maps) for part in lessons.own] == [300, 300, 300]
    assert len(lessons.all().maps) == len(lessons.all().labels) == 990
    every = {row.tobytes() for row in lessons.all().maps}
    assert len(every) == 990
    for number in range(3):
        taught = lessons.of(number)
        assert np.array_equal(taught.maps[:300], lessons.own[number].maps)
        assert np.array_equal(taught.maps[300:], lessons.shared.maps)
        assert taught.labels == lessons.own[number].labels + lessons.shared.labels


def test_maps_follow_from_the_seed(config) -> None:
    from weights.flow_maps import lessons_of

    one, again = lessons_of(config), lessons_of(config)
    assert np.array_equal(one.all().maps, again.all().maps)
    assert one.all().labels == again.all().labels
    other = lessons_of(replace(config, seed=6))
    assert not np.array_equal(one.all().maps, other.all().maps)


def test_the_network_learns_the_mean_of_its_teachers_and_no_class(config) -> None:
    from weights.distillation import distil, mirrored_lengths, train_network
    from weights.flow_maps import lessons_of

    lessons = lessons_of(config)
    teachers = [train_network(lessons.of(k), config, seed=k) for k in range(3)]
    labels = [THREE.names[k % 3] for k in range(240)]
    asked = generate_maps(labels, seed=99, config=MapConfig(faces="mesh"))
    told = []
    pupil = distil(teachers, lessons.all().maps, config, lambda *steps: told.append(steps))
    assert told[-1] == (12 * (900 // 64), 12 * (900 // 64), "lessons")
    said = np.stack([mirrored_lengths(teacher, asked) for teacher in teachers])
    wanted, found = said.mean(0), mirrored_lengths(pupil, asked)
    # nearer to the mean than the teachers are to it, on maps that nobody has seen
    apart = np.square(said - wanted).mean((1, 2))
    assert np.square(found - wanted).mean() < 0.5 * apart.min()
    assert uf1(labels, np.asarray(THREE.names)[found.argmax(1)]) > 0.7


def test_one_teacher_is_the_network(config) -> None:
    import torch

    from micromimic.models.training.batches import derive_seed
    from weights.distillation import train_model, train_network
    from weights.flow_maps import lessons_of

    alone = replace(config, maps=96, epochs=1, lessons=1, teachers=1)
    lessons = lessons_of(alone)
    network = train_model(lessons, alone)
    same = train_network(lessons.of(0), alone, derive_seed(5, 0))
    for one, other in zip(network.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_seen_of_a_mirrored_map_is_mirrored() -> None:
    import torch

    from weights.distillation import mirrored, seen

    maps = center(generate_maps(["positive", "surprise"], seed=3))
    torch.testing.assert_close(mirrored(seen(maps)), seen(mirror(maps)), atol=1e-5, rtol=0)
