// Lights the G-buffer. The camera is orthographic, so light from all around depends on the normal
// alone: it comes from three small maps over n.xy (diffuse, rough and sharp reflections).
uniform sampler2D g_albedo;
uniform sampler2D g_surface;
uniform sampler2D g_depth;
uniform sampler2DShadow shadow_map;
uniform sampler2D diffuse_map;
uniform sampler2D rough_map;
uniform sampler2D sharp_map;
uniform sampler2D background;
uniform mat4 to_light;
uniform vec3 key_direction; // to the light, y up
uniform vec3 key_colour;
uniform float key_blur;     // of its shadow, in the shadow map's coordinates
uniform vec3 head_up;
uniform vec4 skin_shine;    // strength, exponent, share of the environment, softness of light in skin
uniform float hair_shine;
uniform vec4 exposure;      // gain of each channel, contrast of the curve

out vec4 result;

float sun(vec3 p, float bias) {
    vec3 q = (to_light * vec4(p, 1.0)).xyz * 0.5 + 0.5;
    q.z -= bias;
    float turn = 6.28 * fract(52.98 * fract(dot(gl_FragCoord.xy, vec2(0.0671, 0.00584))));
    vec2 a = key_blur * vec2(cos(turn), sin(turn)), b = vec2(-a.y, a.x);
    float lit = texture(shadow_map, q);
    lit += texture(shadow_map, q + vec3(a, 0.0)) + texture(shadow_map, q - vec3(a, 0.0));
    lit += texture(shadow_map, q + vec3(b, 0.0) * 0.6) + texture(shadow_map, q - vec3(b, 0.0) * 0.6);
    return lit * 0.2;
}

vec3 tone(vec3 c) {
    c *= exposure.rgb;
    c = c / (1.0 + 0.35 * c) * 1.2; // a soft shoulder
    c = pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2));
    return mix(c, c * c * (3.0 - 2.0 * c), exposure.a);
}

void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    vec4 a = texelFetch(g_albedo, at, 0);
    vec3 behind = texelFetch(background, at, 0).rgb;
    if (a.a < 0.004) {
        result = vec4(behind, 0.0);
        return;
    }
    vec4 s = texelFetch(g_surface, at, 0);
    float depth = texelFetch(g_depth, at, 0).r;
    float material = floor(s.w * 0.5), open = s.w - 2.0 * material;
    vec3 n = normalize(s.xyz);
    vec3 albedo = a.rgb / a.a;
    albedo *= albedo;
    vec2 m = n.xy * vec2(0.5, -0.5) + 0.5;
    vec3 p = vec3(gl_FragCoord.xy - 0.5, -(2.0 * depth - 1.0) * z_range);
    vec3 ambient = texture(diffuse_map, m).rgb * open;
    float facing = dot(n, key_direction);
    float lit = facing > -0.4 ? sun(p, material == HAIR ? 0.012 : 0.006) : 0.0;
    lit *= 0.35 + 0.65 * open;
    vec3 half_way = normalize(key_direction + vec3(0.0, 0.0, 1.0));
    float grazing = pow(1.0 - clamp(n.z, 0.0, 1.0), 4.0);
    vec3 c;
    if (material == SKIN) {
        // Light that enters skin comes out nearby, red the farthest.
        vec3 wrap = vec3(0.36, 0.14, 0.08) * skin_shine.w;
        vec3 key = clamp((facing + wrap) / (1.0 + wrap), 0.0, 1.0);
        vec3 soft = mix(vec3(lit), sqrt(vec3(lit, lit * lit, lit * lit)), 0.25 * skin_shine.w);
        c = albedo * (ambient + key_colour * key * soft);
        float gloss = clamp(dot(n, half_way), 0.0, 1.0);
        float spread = skin_shine.y;
        float shine = pow(gloss, spread) * (spread + 8.0) * 0.02 + pow(gloss, spread * 4.0) * 0.15;
        c += key_colour * (skin_shine.x * 0.16 * shine * lit * clamp(facing * 4.0, 0.0, 1.0));
        c += texture(rough_map, m).rgb * (open * skin_shine.z * (0.028 + 0.05 * grazing));
    } else if (material == EYE) {
        // Lids shade the ball below them.
        float above = texelFetch(g_depth, at - ivec2(0, 2), 0).r;
        float beside = texelFetch(g_depth, at - ivec2(0, 4), 0).r;
        float nearer = max(depth - above, 0.6 * (depth - beside)) * 2.0 * z_range;
        float shaded = 1.0 - 0.55 * clamp(nearer * 0.6, 0.0, 1.0);
        float key = clamp(facing * 0.8 + 0.2, 0.0, 1.0) * lit;
        c = albedo * shaded * (0.85 * ambient + key_colour * key * 0.8);
        float gloss = clamp(dot(n, half_way), 0.0, 1.0);
        c += key_colour * pow(gloss, 260.0) * 3.0 * (0.3 + 0.7 * lit) * shaded;
        c += texture(sharp_map, m).rgb * (0.035 + 0.3 * grazing) * shaded;
    } else if (material == HAIR) {
        vec3 along = normalize(head_up - n * dot(head_up, n) + 1e-3);
        float key = clamp(facing * 0.7 + 0.3, 0.0, 1.0) * lit;
        c = albedo * (ambient * 0.9 + key_colour * key);
        float t = dot(along, half_way);
        float strand = pow(sqrt(max(1.0 - t * t, 0.0)), 60.0) * clamp(facing + 0.2, 0.0, 1.0);
        c += (0.06 + 0.7 * albedo) * key_colour * strand * lit * hair_shine;
        c += texture(rough_map, m).rgb * open * (0.015 + 0.06 * grazing) * hair_shine;
    } else if (material == CLOTH) {
        c = albedo * (ambient + key_colour * clamp(facing, 0.0, 1.0) * lit);
    } else {
        c = albedo * (ambient + key_colour * clamp(facing * 0.8 + 0.2, 0.0, 1.0) * lit);
        float gloss = pow(clamp(dot(n, half_way), 0.0, 1.0), 80.0);
        c += open * (key_colour * gloss * lit * 0.5 + texture(sharp_map, m).rgb * 0.03);
    }
    result = vec4(mix(behind, tone(c), a.a), (material + 1.0) / 16.0);
}
