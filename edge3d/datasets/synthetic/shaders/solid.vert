in vec3 position;
in vec3 normal;
in vec4 colour; // linear RGB, material

out vec3 v_normal;
out vec4 v_colour;

void main() {
    gl_Position = to_clip(position);
    v_normal = normal;
    v_colour = colour;
}
