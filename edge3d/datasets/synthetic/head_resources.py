"""What a renderer of heads keeps on the graphics card: buffers, textures, meshes, programs."""

from __future__ import annotations

import numpy as np

from edge3d.datasets.synthetic import gl
from edge3d.datasets.synthetic.assets import Assets
from edge3d.datasets.synthetic.head_mesh import BoundPart, HeadMesh, texture_mean
from edge3d.datasets.synthetic.rig import HeadRig

SHADOW_SIZE = 192
DECALS = ("eyebrow", "eyelashes")
SOLID_CORNERS = 12000


class HeadResources:
    """A context with all that heads of one rig need, at one size of image.

    Args:
        rig: the head. mesh: of it. assets: what it wears.
        size: of the image in pixels, square.

    Raises:
        MissingExtraError: moderngl is not installed.
        RenderingError: there is no OpenGL.
    """

    def __init__(self, rig: HeadRig, mesh: HeadMesh, assets: Assets, size: int) -> None:
        self.rig, self.mesh, self.assets, self.size = rig, mesh, assets, size
        self.parts = {k: [BoundPart(p, rig) for p in v] for k, v in assets.parts.items()}
        self._means = {k: [texture_mean(p) for p in v] for k, v in assets.parts.items()}
        context = self._context = gl.open_context()
        self._gl = gl.import_moderngl()
        context.front_face = "cw"
        names = {
            "head": ("head.vert", "head.frag"),
            "eye": ("eye.vert", "eye.frag"),
            "part": ("part.vert", "part.frag"),
            "solid": ("solid.vert", "solid.frag"),
            "shadow": ("shadow.vert", "shadow.frag"),
            "shade": ("quad.vert", "shade.frag"),
            "lens": ("solid.vert", "lens.frag"),
        }
        self._programs = {n: gl.program(context, *files) for n, files in names.items()}
        self._make_buffers()
        self._make_textures()
        self._make_meshes()

    def _make_buffers(self) -> None:
        context, size = self._context, (self.size, self.size)
        self._g_albedo = context.texture(size, 4)
        self._g_surface = context.texture(size, 4, dtype="f2")
        self._g_depth = context.depth_texture(size)
        self._g_depth.compare_func = ""
        self._g = context.framebuffer([self._g_albedo, self._g_surface], self._g_depth)
        self._decals = context.framebuffer([self._g_albedo], self._g_depth)
        self._shadow_map = context.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow = context.framebuffer(depth_attachment=self._shadow_map)
        self._out_colour = context.texture(size, 4)
        self._out = context.framebuffer([self._out_colour])
        self._lenses = context.framebuffer([self._out_colour], self._g_depth)
        corners = np.array([-1, -1, 3, -1, -1, 3], np.float32)
        self._quad = context.vertex_array(
            self._programs["shade"], [(context.buffer(corners.tobytes()), "2f", "corner")]
        )

    def _make_textures(self) -> None:
        context, assets = self._context, self.assets
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (128, 128, 4), np.uint8)
        self._noise = gl.texture(context, noise, repeat=True)
        self._skins = [gl.texture(context, skin.texture_rgb) for skin in assets.skins]
        self._irises = [gl.texture(context, image) for image in assets.irises_rgba]
        self._part_textures = {
            kind: [gl.texture(context, part.texture_rgba) for part in parts]
            for kind, parts in assets.parts.items()
        }
        self._light_maps = {
            n: context.texture((s, s), 3, dtype="f4")
            for n, s in (("diffuse_map", 24), ("rough_map", 24), ("sharp_map", 48))
        }
        self._background = context.texture((self.size, self.size), 3, alignment=1)

    def _make_meshes(self) -> None:
        context, mesh = self._context, self.mesh
        corners = len(mesh.uv)
        fixed = {"uv": mesh.uv, "rest": mesh.rest, "shares": mesh.shares, "extra": mesh.extra}
        self._head = gl.Mesh(context, corners, len(mesh.skin_triangles), fixed)
        self._eyes = gl.Mesh(context, corners, len(mesh.eye_triangles), {"gaze": mesh.gaze})
        self._part_meshes = {
            kind: [
                gl.Mesh(context, len(p.rest), len(p.triangles), {"uv": p.part.corner_uv})
                for p in parts
            ]
            for kind, parts in self.parts.items()
        }
        colour = np.zeros((SOLID_CORNERS, 4), np.float32)
        self._solid = gl.Mesh(context, SOLID_CORNERS, SOLID_CORNERS, {"colour": colour})
        self._lens = gl.Mesh(context, 400, 400, {"colour": colour[:400]})
