"""Samples of rendered faces: an image, and all that is true of it.

Sample `i` of a seed is the same on every machine with the same driver, whatever was made before
it. Where OpenGL or the assets are missing, `edge3d.datasets.synthetic.rendering` draws plainer
faces instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.synthetic import accessories
from edge3d.datasets.synthetic.assets import Assets, load_assets
from edge3d.datasets.synthetic.backdrop import Photographs, draw_backdrop
from edge3d.datasets.synthetic.degradation import degrade
from edge3d.datasets.synthetic.head_mesh import make_head_mesh
from edge3d.datasets.synthetic.lights import Light, draw_light, prepare
from edge3d.datasets.synthetic.looks import Look, draw_look
from edge3d.datasets.synthetic.parameters import sample_params
from edge3d.datasets.synthetic.renderer import HeadRenderer, Placed, Rendered
from edge3d.datasets.synthetic.rig import attach_rig
from edge3d.face_model import FaceModel
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.pose import angles_from_rotation, rotation_from_angles
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

BLOCK = 8  # heads decoded at once; always the same, since sums differ with the number
VISIBLE_MM = 5.0  # a landmark this far behind what is drawn is hidden


@dataclass(frozen=True, eq=False)
class Sample:
    """A rendered face.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        params: (P,) `rotation6d` parameters in the image's pixels.
        landmarks: (68, 3) in pixels, z to the viewer.
        visible: (68,) whether nothing hides each landmark.
        gaze: (2, 3) unit directions of the right and the left eye (in the image left and right),
            in the camera's frame: x right, y up, z to the camera.
        look: what was drawn.
        rendered: the image without a camera's faults, with each pixel's material and depth.
    """

    image: NDArray[np.uint8]
    params: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    visible: NDArray[np.bool_]
    gaze: NDArray[np.float32]
    look: Look
    rendered: Rendered


class RenderedFaces:
    """Rendered faces by number. One process renders on one core.

    OpenGL is opened on the first sample, so that workers of a data loader open their own.

    Args:
        face_model: an open face model.
        assets: the folder of assets.
        size: of the image in pixels.
        face_size: side of the protocol's crop in it; what is around it is for shifts and turns.
        seed: decides all faces.
        photographs: folder of photographs for backgrounds, or None.

    Raises:
        DatasetError: the assets are not as they should be.
        FaceModelError: the face model is no open one.
        MissingExtraError, RenderingError: (from `sample`) OpenGL is not to be had.
    """

    def __init__(
        self,
        face_model: FaceModel,
        assets: str | Path | Assets,
        size: int = 192,
        face_size: int = 160,
        seed: int = 0,
        photographs: str | Path | None = None,
    ) -> None:
        self.face_model, self.size, self.face_size, self.seed = face_model, size, face_size, seed
        self.assets = assets if isinstance(assets, Assets) else load_assets(assets)
        self.layout = make_layout("rotation6d", face_model)
        self._decoder = Decoder(face_model, self.layout)
        self._rig = attach_rig(face_model)
        self._mesh = make_head_mesh(self._rig, self.assets)
        self._photographs = Photographs(photographs) if photographs is not None else None
        self._around = [prepare(light) for light in self.assets.environments.values()]
        self._renderer: HeadRenderer | None = None
        self._block: tuple[int, NDArray, NDArray] | None = None

    def sample(self, index: int) -> Sample:
        """Render face `index`."""
        params, shape = self._decoded(index)
        rng = np.random.default_rng((self.seed, index, 1))
        look = draw_look(self.assets, rng)
        light = draw_light(self._around, rng)
        return self.draw(params, shape, look, light, rng)

    def draw(
        self,
        params: NDArray[np.float32],
        shape_mm: NDArray[np.float32],
        look: Look,
        light: Light,
        rng: np.random.Generator,
        clean: bool = False,
    ) -> Sample:
        """Render parameters (P,) with a look and a light; `clean` without a camera's faults."""
        head = self._placed(params, shape_mm, look, rng)
        exposure = _exposure(look, light, rng)
        background = draw_backdrop(self.size, light, exposure, self._photographs, rng)
        solids, lenses = self._worn(head, shape_mm, look)
        rendered = self._opened().render(
            head, look, light, background, exposure, solids, lenses, tuple(rng.random(2))
        )
        landmarks = self._decoder.landmarks(params[None])[0]
        return Sample(
            image=rendered.image if clean else degrade(rendered.image, rng),
            params=params,
            landmarks=landmarks,
            visible=_visible(landmarks, rendered, head.px_per_mm),
            gaze=self._gaze(shape_mm) @ head.rotation.T,
            look=look,
            rendered=rendered,
        )

    def crop(self, sample: Sample, size: int = CROP_SIZE_PX) -> tuple[NDArray, NDArray, NDArray]:
        """Cut the protocol's crop out of a sample.

        Returns:
            image (size, size, 3) uint8, parameters (P,) and landmarks (68, 3) in its pixels.
        """
        scale = size / self.face_size
        corner = 0.5 * (self.size - self.face_size)
        box = slice(round(corner), round(corner) + self.face_size)
        image = cv2.resize(sample.image[box, box], (size, size), interpolation=cv2.INTER_AREA)
        shift = (0.5 - corner) * scale - 0.5
        params = sample.params.copy()
        params[6] *= scale
        params[7:9] = params[7:9] * scale + shift
        landmarks = sample.landmarks * np.float32(scale)
        landmarks[:, :2] += np.float32(shift)
        return image, params, landmarks

    def _opened(self) -> HeadRenderer:
        if self._renderer is None:
            self._renderer = HeadRenderer(self._rig, self._mesh, self.assets, self.size)
        return self._renderer

    def _decoded(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        block = index // BLOCK
        if self._block is None or self._block[0] != block:
            numbers = range(block * BLOCK, (block + 1) * BLOCK)
            params = sample_params(numbers, self.face_model, self.seed)
            scale = self.face_size / CROP_SIZE_PX
            params[:, 6] *= scale
            corner = 0.5 * (self.size - self.face_size)
            params[:, 7:9] = (params[:, 7:9] + 0.5) * scale - 0.5 + corner
            start = self.layout.slices["identity"][0]
            self._block = (block, params, self._rig.shapes_mm(params[:, start:]))
        _, params, shapes = self._block
        return params[index % BLOCK].copy(), shapes[index % BLOCK]

    def _placed(
        self, params: NDArray, shape_mm: NDArray, look: Look, rng: np.random.Generator
    ) -> Placed:
        linear, shift = self._decoder.camera(params[None])
        rotation = self._decoder.rotation_and_scale(params[None])[0][0]
        unit = self.face_model.unit_mm
        shape = self._turned_body(shape_mm, rotation, look)
        return Placed(
            shape_mm=shape,
            linear=(linear[0] / unit).astype(np.float32),
            shift=shift[0].astype(np.float32),
            rotation=rotation.astype(np.float32),
        )

    def _turned_body(self, shape_mm: NDArray, rotation: NDArray, look: Look) -> NDArray[np.float32]:
        """Turn neck and shoulders part of the way back from where the head looks."""
        mesh = self._mesh
        angles = np.concatenate(angles_from_rotation(rotation[None]))
        body = rotation_from_angles(*(angles * (1 - look.body_turn)))
        back = (rotation.T @ body).astype(np.float32)
        moved = np.flatnonzero(mesh.body > 0)
        shape = shape_mm.copy()
        offset = shape[moved] - mesh.neck_mm
        shape[moved] += mesh.body[moved, None] * (offset @ back.T - offset)
        return shape

    def _worn(
        self, head: Placed, shape_mm: NDArray, look: Look
    ) -> tuple[tuple[accessories.Solid, ...], accessories.Solid | None]:
        if not look.worn and not look.hat:
            return (), None
        rng = np.random.default_rng(look.worn_seed)
        rig, marks = self._rig, self._rig.landmarks_mm(shape_mm)
        rest, rest_marks = rig.mean_mm, rig.landmarks_mm(rig.mean_mm)
        mesh = self._mesh
        solids, lenses = [], None
        triangles = rig.corner_row[mesh.skin_triangles]
        surface = (head.shape_mm, rig.normals(head.shape_mm), rest, triangles)
        if look.hat:
            hairline = np.zeros(len(rest), np.float32)
            hairline[rig.corner_row] = 100 * mesh.extra[:, 0]
            solids += accessories.make_hat(look.hat, surface, hairline, rest_marks, rng)
        if "glasses" in look.worn or "sunglasses" in look.worn:
            frame, lenses = accessories.make_glasses(marks, "sunglasses" in look.worn, rng)
            solids.append(frame)
        if "mask" in look.worn:
            solids.append(accessories.make_mask(surface, rest_marks, rng))
        if "hand" in look.worn:
            skins = [self.assets.skins[n].cheek for n in look.skins]
            colour = ((1 - look.skin_mix) * skins[0] + look.skin_mix * skins[1]) * look.skin_gain
            solids.append(accessories.make_hand(marks, colour, head.rotation, rng))
        placed = tuple(accessories.place(solid, head) for solid in solids)
        return placed, None if lenses is None else accessories.place(lenses, head)

    def _gaze(self, shape_mm: NDArray) -> NDArray[np.float32]:
        """Return where both eyeballs look (2, 3) in the head's frame: from middle to pupil."""
        rig = self._rig
        ball = np.linalg.norm(rig.rest_gaze, axis=1) > 0
        gaze = []
        for side in (-1, 1):
            rows = np.flatnonzero(ball & (rig.mean_mm[:, 0] * side > 0))
            # The rotation of the eyeball is what turns its resting directions best to the present.
            now = shape_mm[rows] - shape_mm[rows].mean(axis=0)
            rest = rig.mean_mm[rows] - rig.mean_mm[rows].mean(axis=0)
            u, _, vt = np.linalg.svd(now.T @ rest)
            turn = (u * [1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
            gaze.append(turn[:, 2])
        return np.array(gaze, np.float32)


def _exposure(look: Look, light: Light, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw what a camera makes of the light: gains (3,) and contrast; a dark face stays darker."""
    wanted = 0.30 * (look.skin_luminance / 0.30) ** 0.55 * np.exp(rng.normal(0, 0.33))
    gain = wanted / (look.skin_luminance * light.level)
    balance = np.exp(rng.normal(0, [0.05, 0.02, 0.07]))
    tint = light.diffuse.mean(axis=(0, 1))
    # Automatic white balance takes out most of the light's colour.
    balance *= (tint.mean() / tint) ** rng.uniform(0.7, 1.05)
    return np.append(gain * balance, rng.uniform(-0.2, 0.6)).astype(np.float32)


def _visible(landmarks: NDArray, rendered: Rendered, px_per_mm: float) -> NDArray[np.bool_]:
    size = len(rendered.material)
    at = np.rint(landmarks[:, :2]).astype(int)
    inside = ((at >= 0) & (at < size)).all(axis=1)
    x, y = np.clip(at, 0, size - 1).T
    nearer = np.full(len(at), np.inf)
    for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        column, row = np.clip(x + dx, 0, size - 1), np.clip(y + dy, 0, size - 1)
        depth = np.where(rendered.material[row, column] >= 0, rendered.depth_px[row, column], -1e6)
        nearer = np.minimum(nearer, depth - landmarks[:, 2])
    worn = rendered.material[y, x]
    return inside & (nearer < VISIBLE_MM * px_per_mm) & ~np.isin(worn, (2, 3, 5))
