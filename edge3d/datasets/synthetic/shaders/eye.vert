in vec3 position;
in vec3 normal;
in vec3 gaze; // direction on the eyeball at rest: z is the pupil

out vec3 v_normal;
out vec3 v_gaze;

void main() {
    gl_Position = to_clip(position);
    v_normal = normal;
    v_gaze = gaze;
}
