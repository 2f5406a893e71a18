"""The networks that can be trained, by name."""

from __future__ import annotations

from torch import nn

from edge3d.networks.mobilenet import STUDENT_WIDTHS, make_student
from edge3d.networks.resnet import TEACHERS, make_teacher

NETWORKS = (*STUDENT_WIDTHS, *TEACHERS)

# What a network can start from: its own weights; a student of half its width
# (`edge3d.networks.widening`); a network whose layers it takes (`edge3d.networks.transfer`).
STARTS: dict[str, tuple[str, ...]] = {
    "student-025": ("student-025",),
    "student-050": ("student-050", "student-025"),
    "student-100": ("student-100", "student-050"),
    "teacher-separable": ("teacher-separable", "student-050"),
    "teacher": ("teacher", "teacher-separable"),
}


def is_teacher(name: str) -> bool:
    """Tell whether a network is a teacher, which sees 2D landmarks beside the picture."""
    return name in TEACHERS


def make_network(name: str, outputs: int) -> nn.Module:
    """Return a student or a teacher by name, with random weights.

    Args:
        name: of a student or a teacher. outputs: number of parameters, P.

    Raises:
        ValueError: no such network.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network '{name}'; known: {', '.join(NETWORKS)}")
    return make_teacher(name, outputs) if is_teacher(name) else make_student(name, outputs)
