"""Reading and writing files: images, videos, meshes, atomically."""
