// Around the reconstruction, for video: the crop box of a detector's face, smoothing over time, and
// what raises the doubt that a followed face is still there. As edge3d.detector and edge3d.tracker.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "edge3d.hpp"

namespace edge3d {

struct Point {
    double x, y;
};

// A face that BlazeFace found. Points are the right eye, left eye, nose tip, mouth, right ear and
// left ear of the person, in pixels of the frame whose first pixel has its centre at 0.
struct Detection {
    Box box;
    float score;
    std::array<Point, 6> keypoints;
};

// The crop box of a detected face. Throws Error: the box is empty or not finite.
Box crop_box(const Detection& face);

// Intersection over union, 0..1.
double iou(const Box& one, const Box& other);

// The protocol's box of 68 landmarks (x, y, z), in pixels.
Box landmark_box(const float* landmarks);

// Whether the 68 landmarks (x, y, z) that the network gives for a crop's box raise the doubt that
// there is no face in it; `previous` are those of the frame before, or null.
bool is_doubtful(const Box& box, const float* landmarks, const float* previous);

// How much the shape of 68 landmarks changed, in sides of their box.
double shape_change(const float* landmarks, const float* previous);

// From crop pixels to the frame's: scale * point + (x, y).
struct ToFrame {
    double scale, x, y;
};

using Parameters = std::array<float, contract::parameter_count>;

struct OneEuro {
    double min_cutoff_hz, beta, speed_cutoff_hz;
};

// The One-Euro filter (G. Casiez et al., CHI 2012) for vectors.
class VectorFilter {
public:
    // `joint`: one speed for the whole vector, or one for each component.
    VectorFilter(OneEuro constants, bool joint) : constants_(constants), joint_(joint) {}

    // Smooths in place; `unit` is what speeds are divided by before they meet beta.
    void next(std::vector<double>& given, double step_s, double unit = 1);
    void restart() { value_.clear(); }

private:
    OneEuro constants_;
    bool joint_;
    std::vector<double> value_, last_, speed_;
};

using Rotation = std::array<double, 9>;  // by rows

// The same for rotations, along the shortest turn.
class RotationFilter {
public:
    explicit RotationFilter(OneEuro constants) : constants_(constants) {}

    Rotation next(const Rotation& given, double step_s);
    void restart() { started_ = false; }

private:
    OneEuro constants_;
    bool started_ = false;
    Rotation value_{}, last_{};
    std::array<double, 3> speed_{};
};

// Smooths one face over time. Pose and expression go through One-Euro filters; the identity is the
// mean of frontal frames and rests once it has enough of them.
class Smoother {
public:
    explicit Smoother(const FaceModel& model, double identity_frames = 0);  // 0: the default

    // The smoothed parameters, for the same crop. Throws Error: the time does not rise.
    Parameters smooth(const Parameters& params, const ToFrame& to_frame, double time_s);

    // Whether the identity rests, so that Reconstructor::hold_identity is right.
    bool identity_rests() const { return rests_; }

private:
    void settle_identity(float* identity, double weight);

    double face_size_, identity_frames_, frames_ = 0;
    bool rests_ = false;
    std::optional<double> time_s_;
    std::vector<double> identity_;
    RotationFilter rotation_;
    VectorFilter place_, size_, expression_;
};

// The rotation, model to camera and y up, of parameters: two rows made orthonormal (Y. Zhou et al.,
// CVPR 2019).
Rotation rotation_of(const float* six);

}  // namespace edge3d
