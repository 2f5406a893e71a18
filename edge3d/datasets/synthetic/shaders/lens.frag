// Spectacle lenses over the lit image: a tint, and the surroundings mirrored in them.
in vec3 v_normal;
in vec4 v_colour; // tint, opacity

uniform sampler2D sharp_map;
uniform vec4 exposure;
uniform vec3 mirror; // strength of the mirror

out vec4 result;

void main() {
    vec3 n = normalize(v_normal);
    vec3 light = texture(sharp_map, n.xy * vec2(0.5, -0.5) + 0.5).rgb * exposure.rgb;
    float grazing = pow(1.0 - clamp(n.z, 0.0, 1.0), 3.0);
    vec3 shine = pow(clamp(light * (mirror + 0.4 * grazing), 0.0, 1.0), vec3(1.0 / 2.2));
    float share = clamp(v_colour.a + 0.5 * dot(shine, vec3(0.333)), 0.0, 1.0);
    result = vec4(v_colour.rgb * v_colour.a / max(share, 1e-3) + shine, share);
}
