in vec3 v_normal;
in vec4 v_colour;

uniform sampler2D noise;

layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 surface;

void main() {
    vec4 grain = texture(noise, gl_FragCoord.xy / 80.0);
    float weave = v_colour.a == CLOTH ? 0.35 : 0.05;
    albedo = vec4(sqrt(clamp(v_colour.rgb * (1.0 + weave * (grain.x - 0.5)), 0.0, 1.0)), 1.0);
    surface = pack_surface(v_normal + weave * (grain.yzw - 0.5), 0.9, v_colour.a);
}
