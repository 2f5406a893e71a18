#version 330
// Shared by all: materials, and how pixels become clip coordinates. Rows of the frame buffer are
// image rows from the top, so y is not turned; triangles are clockwise for that.
const float SKIN = 0.0, EYE = 1.0, HAIR = 2.0, CLOTH = 3.0, WET = 4.0, PLASTIC = 5.0;

uniform vec2 size;     // of the image in pixels
uniform float z_range; // pixels that depth reaches to both sides

vec4 to_clip(vec3 p) {
    return vec4(2.0 * (p.xy + 0.5) / size - 1.0, -p.z / z_range, 1.0);
}

// The G-buffer: albedo in a square root scale with coverage; normal, and occlusion with material.
vec4 pack_surface(vec3 normal, float occlusion, float material) {
    return vec4(normalize(normal), 2.0 * material + clamp(occlusion, 0.0, 0.99));
}
