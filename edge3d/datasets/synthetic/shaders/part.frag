// Hair, beards, brows, lashes, teeth, tongue: a texture with alpha.
in vec3 v_normal;
in vec2 v_uv;
in vec3 v_position;

uniform sampler2D colour_map;
uniform sampler2D noise;
uniform vec3 tint;      // the colour that the texture's mean becomes
uniform vec3 keep;      // 1 / mean luminance of the texture, share of its hue, contrast
uniform vec4 kind;      // material, openness to light, alpha test, roughening of normals
uniform vec3 fade;      // depth (pixels) and width over which light is lost behind, on or off

layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 surface;

void main() {
    vec4 c = texture(colour_map, v_uv);
    vec4 grain = texture(noise, gl_FragCoord.xy / 64.0 + v_uv);
    if (c.a < kind.z + 0.35 * (grain.x - 0.5) * step(0.01, kind.z)) discard;
    vec3 lin = c.rgb * c.rgb;
    float level = pow(max(dot(lin, vec3(0.3, 0.6, 0.1)) * keep.x, 0.003), keep.z);
    lin = mix(tint * level, lin * tint, keep.y);
    lin = min(lin, 0.75);
    float open = kind.y;
    open *= mix(1.0, smoothstep(fade.x - fade.y, fade.x, v_position.z), fade.z);
    albedo = vec4(sqrt(clamp(lin, 0.0, 1.0)), kind.z > 0.0 ? 1.0 : c.a);
    surface = pack_surface(v_normal + kind.w * (level - 1.0) * vec3(0.3, 0.0, 0.2)
                           + kind.w * (grain.yzw - 0.5), open, kind.x);
}
