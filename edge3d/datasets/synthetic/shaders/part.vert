in vec3 position;
in vec3 normal;
in vec2 uv;

out vec3 v_normal;
out vec2 v_uv;
out vec3 v_position;

void main() {
    gl_Position = to_clip(position);
    v_normal = normal;
    v_uv = uv;
    v_position = position;
}
