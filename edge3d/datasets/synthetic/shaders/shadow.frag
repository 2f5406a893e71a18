in vec2 v_uv;

uniform sampler2D colour_map;
uniform float alpha_test;

void main() {
    if (alpha_test > 0.0 && texture(colour_map, v_uv).a < alpha_test) discard;
}
