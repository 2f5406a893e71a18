from __future__ import annotations

import torch

from edge3d.networks.landmark_map import landmark_map, map_points, soft_landmark_map


def test_the_eighteen_points() -> None:
    landmarks = torch.arange(68.0)[None, :, None].expand(1, 68, 2)
    wanted = [17, 19, 21, 22, 24, 26, 36, 38.5, 39, 42, 44.5, 45, 31, 30, 35, 48, 64, 54]
    assert map_points(landmarks)[0, :, 0].tolist() == wanted


def test_a_point_marks_its_pixel_and_the_border_if_it_is_beside() -> None:
    points = torch.tensor([[[10.9, 20.2], [-3.0, 500.0]]])
    marks = landmark_map(points)[0, 0]
    assert marks[20, 10] == 1 and marks[119, 0] == 1
    assert (marks == 1).sum() == 2 and (marks == -1).sum() == 120 * 120 - 2


def test_an_unknown_point_leaves_no_mark() -> None:
    points = torch.full((1, 18, 2), torch.nan)
    assert (landmark_map(points) == -1).all() and (soft_landmark_map(points) == -1).all()


def test_both_maps_agree_on_whole_pixels() -> None:
    points = torch.randint(0, 120, (3, 18, 2)).float()
    assert torch.equal(landmark_map(points), soft_landmark_map(points))


def test_a_soft_mark_keeps_its_weight_and_place() -> None:
    marks = (soft_landmark_map(torch.tensor([[[30.25, 40.5]]]))[0, 0] + 1) / 2
    rows, columns = torch.meshgrid(torch.arange(120.0), torch.arange(120.0), indexing="ij")
    assert torch.isclose(marks.sum(), torch.tensor(1.0))
    assert torch.isclose((marks * columns).sum(), torch.tensor(30.25))
    assert torch.isclose((marks * rows).sum(), torch.tensor(40.5))


def test_a_gradient_passes_the_soft_map() -> None:
    points = torch.tensor([[[30.25, 40.5]]], requires_grad=True)
    soft_landmark_map(points)[0, 0, 40, 31].backward()
    assert points.grad is not None and points.grad[0, 0, 0] > 0 > points.grad[0, 0, 1]
