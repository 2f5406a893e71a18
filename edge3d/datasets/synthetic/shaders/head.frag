in vec3 v_normal;
in vec2 v_uv;
in vec3 v_rest;
in vec4 v_shares;
in vec2 v_extra;

uniform sampler2D skin_a;
uniform sampler2D skin_b;
uniform sampler2D noise;
uniform float skin_mix;      // share of skin_b
uniform vec3 skin_gain;      // tone
uniform float skin_contrast; // of what is painted on the skin: age, freckles
uniform float skin_colour;   // share of the paint's colourfulness
uniform vec3 skin_mean;      // linear cheek colour of the mixed skins
uniform vec3 neck_colour;
uniform vec3 socket_colour;
uniform vec3 hair_colour;
uniform vec4 beard;   // strength, coarseness, patchiness, shift of the area
uniform vec3 scalp;   // strength of cropped hair, its edge in mm, softness in mm
uniform vec4 lips;    // colour, strength
uniform float bumps;  // of the skin's normals
uniform vec3 cloth_edge;
uniform vec3 cloth_a;
uniform vec3 cloth_b;
uniform vec3 cloth_pattern; // stripes a mm in x and y, contrast of the weave
uniform vec2 noise_shift;

layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 surface;

vec3 linear(vec3 c) { return c * c * (0.68 + 0.32 * c); }

void main() {
    float below = cloth_edge.x + cloth_edge.y * v_rest.z - v_rest.y;
    vec3 n = normalize(v_normal);
    vec4 grain = texture(noise, v_uv * vec2(7.0, 16.0) + noise_shift);
    if (below > 3.0) { // clothes
        vec2 at = v_rest.xy * cloth_pattern.xy;
        float stripe = smoothstep(-0.2, 0.2, sin(at.x) + sin(at.y) - 0.1);
        vec3 c = mix(cloth_a, cloth_b, stripe) * (1.0 + cloth_pattern.z * (grain.x - 0.5));
        c *= 0.55 + 0.45 * smoothstep(3.0, 9.0, below);
        albedo = vec4(sqrt(clamp(c, 0.0, 1.0)), 1.0);
        surface = pack_surface(n + 0.35 * (grain.yzw - 0.5), v_shares.x, CLOTH);
        return;
    }
    vec3 c = mix(linear(texture(skin_a, v_uv).rgb), linear(texture(skin_b, v_uv).rgb), skin_mix);
    vec4 blotch = texture(noise, v_uv * vec2(0.5, 1.1) + noise_shift.yx);
    c = mix(c, neck_colour, v_shares.y);
    // Contrast acts on brightness alone, and the paint's colours are toned down.
    float level = dot(c, vec3(0.3, 0.59, 0.11)), mean = dot(skin_mean, vec3(0.3, 0.59, 0.11));
    c *= clamp(pow(max(level, 1e-3) / mean, skin_contrast - 1.0), 0.4, 1.6);
    c = mix(vec3(dot(c, vec3(0.3, 0.59, 0.11))), c, skin_colour);
    c *= skin_gain * (1.0 + 0.10 * (blotch.x - 0.5) + vec3(0.10, -0.03, -0.03) * (blotch.y - 0.5));
    c = mix(c, socket_colour * skin_gain, v_shares.z);
    c = mix(c, lips.rgb, v_extra.y * lips.a);
    // Stubble, painted as dark dots whose density follows the beard's area.
    vec4 dots = texture(noise, v_uv * vec2(20.0, 46.0));
    float area = clamp(v_shares.w + beard.w - beard.z * blotch.z, 0.0, 1.0);
    float stubble = area * beard.x * (1.0 - beard.y + 2.0 * beard.y * dots.x);
    c = mix(c, hair_colour, clamp(stubble, 0.0, 0.95));
    float above = 100.0 * v_extra.x - scalp.y + 10.0 * (grain.w - 0.5);
    float cropped = scalp.x * smoothstep(0.0, scalp.z, above);
    c = mix(c, hair_colour * (0.6 + 0.8 * dots.y), cropped * (0.75 + 0.5 * (dots.z - 0.5)));
    albedo = vec4(sqrt(clamp(c, 0.0, 1.0)), 1.0);
    float hairy = clamp(cropped + stubble, 0.0, 1.0);
    vec3 bump = (grain.yzw - 0.5) * (bumps + 0.5 * hairy);
    surface = pack_surface(n + bump, v_shares.x, SKIN);
}
