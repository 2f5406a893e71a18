in vec3 position; // pixels, y down, z to the viewer
in vec3 normal;   // y up
in vec2 uv;       // of the skin's texture
in vec3 rest;     // mm on the mean head
in vec4 shares;   // openness to light, neck, eye socket, beard
in vec2 extra;    // mm above the hairline / 100, lips

uniform vec3 cloth_edge; // height of the collar, its slope in z, thickness in pixels

out vec3 v_normal;
out vec2 v_uv;
out vec3 v_rest;
out vec4 v_shares;
out vec2 v_extra;

void main() {
    float below = smoothstep(0.0, 6.0, cloth_edge.x + cloth_edge.y * rest.z - rest.y);
    vec3 pushed = normal * vec3(1.0, -1.0, 1.0) * below * cloth_edge.z;
    gl_Position = to_clip(position + pushed);
    v_normal = normal;
    v_uv = uv;
    v_rest = rest;
    v_shares = shares;
    v_extra = extra;
}
