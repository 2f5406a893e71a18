"""Draws one head with its parts, light and surroundings by OpenGL.

The G-buffer holds albedo, normals and what each pixel is; light is added once a pixel. So small
triangles, of which a head has thousands, stay cheap on a processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.synthetic import gl
from edge3d.datasets.synthetic.accessories import Solid
from edge3d.datasets.synthetic.head_resources import (
    DECALS,
    SOLID_CORNERS,
    HeadResources,
)
from edge3d.datasets.synthetic.lights import Light
from edge3d.datasets.synthetic.looks import Look

HEAD_RADIUS_MM = 190.0
IRIS_CENTRE, IRIS_REACH = (0.707, 0.293), 0.118  # of the eyes' textures: where the iris is
HAIR, CLOTH, WET = 2.0, 3.0, 4.0
MATERIALS = ("skin", "eye", "hair", "cloth", "wet", "plastic")
MOUTH_OPEN_MM = 0.8  # gap between the lips from which the inside is drawn


@dataclass(frozen=True, eq=False)
class Placed:
    """A head in an image.

    Attributes:
        shape_mm: (R, 3) rows of the rig. linear: (3, 3) to pixels, y down. shift: (3,).
        rotation: (3, 3), of normals, y up.
    """

    shape_mm: NDArray[np.float32]
    linear: NDArray[np.float32]
    shift: NDArray[np.float32]
    rotation: NDArray[np.float32]

    def pixels(self, points_mm: NDArray) -> NDArray[np.float32]:
        """Return points (N, 3) in pixels, z to the viewer."""
        return points_mm @ self.linear.T + self.shift

    @property
    def px_per_mm(self) -> float:
        """Pixels in a millimetre across the line of sight."""
        return float(np.linalg.norm(self.linear[0]))


@dataclass(frozen=True, eq=False)
class Rendered:
    """An image (h, w, 3) uint8, and of each pixel its material (h, w), -1 behind the head."""

    image: NDArray[np.uint8]
    material: NDArray[np.int8]
    depth_px: NDArray[np.float32]


class HeadRenderer(HeadResources):
    """Renders heads of one rig with one folder of assets at one size; see `HeadResources`."""

    def render(
        self,
        head: Placed,
        look: Look,
        light: Light,
        background: NDArray[np.uint8],
        exposure: NDArray,
        solids: tuple[Solid, ...] = (),
        lenses: Solid | None = None,
        noise_shift: tuple[float, float] = (0.0, 0.0),
    ) -> Rendered:
        """Draw a head.

        Args:
            head: where. look: what of. light: on it. background: (size, size, 3) sRGB.
            exposure: gain of each channel and contrast (4,).
            solids: what is worn or held, in pixels. lenses: of glasses.
            noise_shift: moves the small patterns of the skin.
        """
        with self._context:  # other renderers may have made theirs current
            return self._render(
                head, look, light, background, exposure, solids, lenses, noise_shift
            )

    def _render(
        self,
        head: Placed,
        look: Look,
        light: Light,
        background: NDArray[np.uint8],
        exposure: NDArray,
        solids: tuple[Solid, ...],
        lenses: Solid | None,
        noise_shift: tuple[float, float],
    ) -> Rendered:
        worn = self._worn_parts(head, look)
        self._fill_head(head)
        solid = self._fill_solids(solids)
        to_light = self._light_matrix(head, light)
        for compiled in self._programs.values():
            gl.put(compiled, size=(float(self.size),) * 2, z_range=self._reach(head) * 4.0)
        self._draw_shadow(worn, solid, to_light, light)
        self._g.use()
        self._context.clear(0.0, 0.0, 0.0, 0.0)
        self._context.enable_only(self._gl.DEPTH_TEST)
        self._draw_head(head, look, light, noise_shift)
        for kind, number in worn:
            if kind not in DECALS:
                self._draw_part(kind, number, look, head)
        if solid:
            program = self._programs["solid"]
            self._noise.use(2)
            gl.put(program, noise=2)
            self._solid.draw(program)
        self._draw_decals(worn, look, head)
        self._shade(head, look, light, background, exposure, to_light)
        if lenses is not None:
            self._draw_lenses(lenses, exposure)
        return self._read(head)

    # Filling buffers ----------------------------------------------------------------------------

    def _fill_head(self, head: Placed) -> None:
        rig = self.rig
        pixels = head.pixels(head.shape_mm)
        normals = rig.normals(head.shape_mm) @ head.rotation.T
        corner_px, corner_normal = pixels[rig.corner_row], normals[rig.corner_row]
        for mesh, triangles in (
            (self._head, self.mesh.skin_triangles),
            (self._eyes, self.mesh.eye_triangles),
        ):
            mesh.update(corner_px, corner_normal, triangles[_seen(corner_px, triangles, self.size)])

    def _worn_parts(self, head: Placed, look: Look) -> list[tuple[str, int]]:
        lips = self.rig.landmarks_mm(head.shape_mm)[60:68]
        gap = np.linalg.norm(lips[[1, 2, 3]] - lips[[7, 6, 5]], axis=1).max()
        worn = [("teeth", 0), ("tongue", 0)] if gap > MOUTH_OPEN_MM else []
        for kind, number in (
            ("hair", look.hair if look.hat != "hood" else -1),
            ("beard", look.beard),
            ("eyebrow", look.brow),
            ("eyelashes", look.lash),
        ):
            if number >= 0:
                worn.append((kind, number))
        for kind, number in worn:
            part = self.parts[kind][number]
            normals = part.normals
            corners = part.corners(head.shape_mm)
            if kind in ("hair", "beard"):
                middle = np.array([0, 20.0, 0], np.float32)
                outwards = corners - middle
                outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
                sign = np.sign(np.einsum("cd,cd->c", outwards, normals))[:, None]
                normals = 0.45 * sign * normals + 0.75 * outwards
            pixels, turned = head.pixels(corners), normals @ head.rotation.T
            triangles = part.triangles
            if kind in ("hair", "beard"):  # both sides are seen, but not through the head
                triangles = triangles[(turned[triangles, 2] > -0.45).any(axis=1)]
            else:
                triangles = triangles[_seen(pixels, triangles, self.size, kind in DECALS)]
            self._part_meshes[kind][number].update(pixels, turned, triangles)
        return worn

    def _fill_solids(self, solids: tuple[Solid, ...]) -> bool:
        if not solids:
            return False
        counts = np.cumsum([0, *(len(s.positions) for s in solids)])
        triangles = np.concatenate(
            [s.triangles + start for s, start in zip(solids, counts, strict=False)]
        )
        if counts[-1] > SOLID_CORNERS or len(triangles) > SOLID_CORNERS:
            raise ValueError(f"{counts[-1]} corners of what is worn, {SOLID_CORNERS} at most")
        self._solid.update(
            np.concatenate([s.positions for s in solids]),
            np.concatenate([s.normals for s in solids]),
            triangles,
        )
        self._solid.write("colour", np.concatenate([s.colours for s in solids]))
        return True

    def _reach(self, head: Placed) -> float:
        return HEAD_RADIUS_MM * head.px_per_mm

    def _light_matrix(self, head: Placed, light: Light) -> NDArray[np.float32]:
        """Return (4, 4) from pixels to the light's clip coordinates."""
        to_lamp = light.key_direction * [1, -1, 1]
        aside = np.cross([0.1, 1.0, 0.0], to_lamp)
        aside /= np.linalg.norm(aside)
        axes = np.stack([aside, np.cross(to_lamp, aside), -to_lamp])
        middle = head.pixels(np.array([[0.0, 10.0, 0.0]], np.float32))[0]
        reach = 0.8 * self._reach(head)
        matrix = np.eye(4)
        matrix[:3, :3] = axes / reach
        matrix[2] *= 0.5
        matrix[:3, 3] = -matrix[:3, :3] @ middle
        return matrix.astype(np.float32)

    # Drawing ------------------------------------------------------------------------------------

    def _draw_shadow(
        self, worn: list[tuple[str, int]], solid: bool, to_light: NDArray, light: Light
    ) -> None:
        self._shadow.use()
        self._shadow.clear()
        self._context.enable_only(self._gl.DEPTH_TEST)
        program = self._programs["shadow"]
        gl.put(program, to_light=to_light.T.copy(), alpha_test=0.0, colour_map=0)
        self._head.draw(program)
        if solid:
            self._solid.draw(program)
        for kind, number in worn:
            if kind in ("hair", "beard"):
                self._part_textures[kind][number].use(0)
                gl.put(program, alpha_test=0.5)
                self._part_meshes[kind][number].draw(program)

    def _draw_head(
        self, head: Placed, look: Look, light: Light, noise_shift: tuple[float, float]
    ) -> None:
        first, second = (self.assets.skins[n] for n in look.skins)
        for unit, image in enumerate((*(self._skins[n] for n in look.skins), self._noise)):
            image.use(unit)
        mix = look.skin_mix
        scale = head.px_per_mm
        gl.put(
            self._programs["head"],
            skin_a=0,
            skin_b=1,
            noise=2,
            skin_mix=mix,
            skin_gain=look.skin_gain,
            skin_contrast=look.skin_contrast,
            skin_colour=look.skin_colour,
            skin_mean=(1 - mix) * first.cheek + mix * second.cheek,
            neck_colour=(1 - mix) * first.neck + mix * second.neck,
            socket_colour=(1 - mix) * first.socket + mix * second.socket,
            hair_colour=look.stubble_colour,
            beard=look.stubble,
            scalp=look.cropped,
            lips=look.lips,
            bumps=look.bumps,
            cloth_edge=look.collar * [1, 1, scale],
            cloth_a=look.cloth[0],
            cloth_b=look.cloth[1],
            cloth_pattern=look.cloth[2],
            noise_shift=np.array(noise_shift),
        )
        self._head.draw(self._programs["head"])
        self._irises[look.iris].use(0)
        gl.put(
            self._programs["eye"],
            iris=0,
            iris_place=np.array([*IRIS_CENTRE, IRIS_REACH, np.radians(look.iris_deg)]),
            iris_gain=look.iris_gain,
            white=look.white,
            pupil=look.pupil,
        )
        self._eyes.draw(self._programs["eye"])

    def _draw_part(self, kind: str, number: int, look: Look, head: Placed) -> None:
        mean = self._means[kind][number]
        lit: tuple[float, float, float] = (0.0, 1.0, 0.0)
        tint, hue, contrast, options = {
            "hair": (look.hair_colour, 0.0, look.hair_contrast, (HAIR, 0.8, 0.4, 0.5)),
            "beard": (look.brow_colour, 0.0, 0.8, (HAIR, 0.75, 0.4, 0.5)),
            "teeth": (look.teeth, 1.0, 1.0, (WET, 0.75, 0.5, 0.0)),
            "tongue": (np.ones(3) * 0.7, 1.0, 1.0, (WET, 0.6, 0.0, 0.05)),
            "eyebrow": (look.brow_colour, 0.0, 0.7, (HAIR, 0.9, 0.0, 0.0)),
            "eyelashes": (0.3 * look.brow_colour, 0.0, 0.5, (HAIR, 0.9, 0.0, 0.0)),
        }[kind]
        if kind in ("teeth", "tongue"):  # the farther behind the lips, the darker
            lips = head.pixels(self.rig.landmarks_mm(head.shape_mm)[[51, 57]])[:, 2].mean()
            width = 34.0 * head.px_per_mm
            lit = (float(lips) - 4.0 * head.px_per_mm, width, 1.0)
        self._part_textures[kind][number].use(0)
        self._noise.use(2)
        program = self._programs["part"]
        gl.put(
            program,
            colour_map=0,
            noise=2,
            tint=np.asarray(tint, np.float32),
            keep=np.array([1.0 / max(mean, 1e-4), hue, contrast]),
            kind=np.array(options),
            fade=np.array(lit),
        )
        self._part_meshes[kind][number].draw(program)

    def _draw_decals(self, worn: list[tuple[str, int]], look: Look, head: Placed) -> None:
        context, constants = self._context, self._gl
        self._decals.use()
        context.enable_only(constants.DEPTH_TEST | constants.BLEND)
        context.blend_func = (
            constants.SRC_ALPHA,
            constants.ONE_MINUS_SRC_ALPHA,
            constants.ZERO,
            constants.ONE,
        )
        self._decals.depth_mask = False
        for kind, number in worn:
            if kind in DECALS:
                self._draw_part(kind, number, look, head)
        self._decals.depth_mask = True

    def _shade(
        self,
        head: Placed,
        look: Look,
        light: Light,
        background: NDArray[np.uint8],
        exposure: NDArray,
        to_light: NDArray,
    ) -> None:
        self._background.write(np.ascontiguousarray(background).tobytes())
        for name, maps in self._light_maps.items():
            maps.write(np.ascontiguousarray(getattr(light, name.removesuffix("_map"))).tobytes())
        bound = {
            "g_albedo": self._g_albedo,
            "g_surface": self._g_surface,
            "g_depth": self._g_depth,
            "shadow_map": self._shadow_map,
            "background": self._background,
            **self._light_maps,
        }
        program = self._programs["shade"]
        for unit, (name, image) in enumerate(bound.items()):
            image.use(unit)
            gl.put(program, **{name: unit})
        gl.put(
            program,
            to_light=to_light.T.copy(),
            key_direction=light.key_direction,
            key_colour=light.key,
            key_blur=0.004 + 0.03 * light.softness,
            head_up=head.rotation[:, 1],
            skin_shine=look.shine,
            hair_shine=look.hair_gloss,
            exposure=exposure,
        )
        self._out.use()
        self._context.enable_only(0)
        self._quad.render(self._gl.TRIANGLES, 3)

    def _draw_lenses(self, lenses: Solid, exposure: NDArray) -> None:
        context, constants = self._context, self._gl
        self._lens.update(lenses.positions, lenses.normals, lenses.triangles)
        self._lens.write("colour", lenses.colours)
        self._lenses.use()
        context.enable_only(constants.DEPTH_TEST | constants.BLEND)
        context.blend_func = (
            constants.SRC_ALPHA,
            constants.ONE_MINUS_SRC_ALPHA,
            constants.ZERO,
            constants.ONE,
        )
        program = self._programs["lens"]
        self._light_maps["sharp_map"].use(0)
        gl.put(program, sharp_map=0, exposure=exposure, mirror=np.full(3, lenses.mirror))
        self._lens.draw(program)

    def _read(self, head: Placed) -> Rendered:
        size = self.size
        data = np.frombuffer(self._out_colour.read(), np.uint8).reshape(size, size, 4)
        raw = np.frombuffer(self._g_depth.read(), np.float32).reshape(size, size)
        depth = -(2 * raw - 1) * (4.0 * self._reach(head))
        return Rendered(
            image=np.ascontiguousarray(data[..., :3]),
            material=np.rint(data[..., 3] / 255.0 * 16.0 - 1.0).astype(np.int8),
            depth_px=depth.astype(np.float32),
        )


def _seen(
    corner_px: NDArray, triangles: NDArray, size: int, both_sides: bool = False
) -> NDArray[np.bool_]:
    """Return which triangles (T,) face the viewer and are not beyond the image's borders."""
    (ax, bx, cx), (ay, by, cy) = (corner_px[:, axis][triangles.T] for axis in range(2))
    inside = (np.maximum(np.maximum(ax, bx), cx) > 0) & (np.minimum(np.minimum(ax, bx), cx) < size)
    inside &= np.minimum(np.minimum(ay, by), cy) < size
    if both_sides:
        return inside
    return inside & ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0)
