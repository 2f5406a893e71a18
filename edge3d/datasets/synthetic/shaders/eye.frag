in vec3 v_normal;
in vec3 v_gaze;

uniform sampler2D iris;
uniform vec4 iris_place; // centre in the texture, its reach per radian, half angle of the iris
uniform vec3 iris_gain;
uniform vec4 white;      // colour of the white, share of it that is plain
uniform float pupil;     // size

layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 surface;

void main() {
    vec3 g = normalize(v_gaze);
    float angle = acos(clamp(g.z, -1.0, 1.0));
    vec2 around = g.xy / max(length(g.xy), 1e-4) * vec2(1.0, -1.0);
    float inside = angle / iris_place.w;
    // The texture's iris covers its own angle: stretch it to the wanted one, and the pupil in it.
    float widened = inside < 1.0 ? pow(inside, pupil) : inside;
    vec4 c = textureLod(iris, iris_place.xy + around * widened * iris_place.z, 0.5);
    vec3 colour = c.rgb * c.rgb;
    float ball = smoothstep(0.95, 1.1, inside);
    colour = mix(colour * iris_gain, mix(colour, white.rgb, white.a), ball);
    albedo = vec4(sqrt(clamp(colour, 0.0, 1.0)), 1.0);
    // The cornea bulges over the iris, so its shine sits closer to the middle.
    vec3 n = normalize(v_normal);
    surface = pack_surface(n, 0.9, EYE);
}
