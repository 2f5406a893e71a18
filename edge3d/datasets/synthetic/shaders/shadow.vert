in vec3 position;
in vec2 uv;

uniform mat4 to_light; // from pixels to the light's clip coordinates

out vec2 v_uv;

void main() {
    gl_Position = to_light * vec4(position, 1.0);
    v_uv = uv;
}
