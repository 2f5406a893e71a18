// Smoothing of one face over time.
#include <algorithm>
#include <cmath>

#include "tracking.hpp"
#include "tracking_constants.hpp"

namespace edge3d {
namespace {

constexpr double first_step_s = 1;  // of the first frame

// How much of the new value a first-order low-pass takes in one step, 0..1.
double share(double cutoff_hz, double step_s) {
    const double turns = 2 * 3.14159265358979323846 * cutoff_hz * step_s;
    return turns / (turns + 1);
}

double length(const double* values, std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += values[i] * values[i];
    return std::sqrt(sum);
}

Rotation product(const Rotation& a, const Rotation& b) {
    Rotation c{};
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) {
            for (int k = 0; k < 3; ++k) c[3 * i + j] += a[3 * i + k] * b[3 * k + j];
        }
    }
    return c;
}

// The rotation vector, radians, that turns `start` into `end`; not for half a turn, which no head
// makes from one frame to the next.
std::array<double, 3> turn_between(const Rotation& start, const Rotation& end) {
    const Rotation back{start[0], start[3], start[6], start[1], start[4],
                        start[7], start[2], start[5], start[8]};
    const Rotation r = product(end, back);
    std::array<double, 3> axis{r[7] - r[5], r[2] - r[6], r[3] - r[1]};  // 2 sin(angle) long
    const double sine = length(axis.data(), 3) / 2;
    const double angle = std::atan2(sine, (r[0] + r[4] + r[8] - 1) / 2);
    for (double& value : axis) value *= sine > 1e-9 ? angle / sine / 2 : 0.5;
    return axis;
}

// Rodrigues' formula.
Rotation rotation_by(const std::array<double, 3>& vector) {
    const double angle = length(vector.data(), 3);
    if (angle < 1e-12) return {1, 0, 0, 0, 1, 0, 0, 0, 1};
    const double x = vector[0] / angle, y = vector[1] / angle, z = vector[2] / angle;
    const double c = std::cos(angle), s = std::sin(angle), d = 1 - c;
    return {c + d * x * x,     d * x * y - s * z, d * x * z + s * y,
            d * x * y + s * z, c + d * y * y,     d * y * z - s * x,
            d * x * z - s * y, d * y * z + s * x, c + d * z * z};
}

}  // namespace

Rotation rotation_of(const float* six) {
    Rotation r{six[0], six[1], six[2], six[3], six[4], six[5]};
    const double first = std::max(length(&r[0], 3), 1e-8);
    double along = 0;
    for (int k = 0; k < 3; ++k) r[k] /= first;
    for (int k = 0; k < 3; ++k) along += r[k] * r[3 + k];
    for (int k = 0; k < 3; ++k) r[3 + k] -= along * r[k];
    const double second = std::max(length(&r[3], 3), 1e-8);
    for (int k = 0; k < 3; ++k) r[3 + k] /= second;
    r[6] = r[1] * r[5] - r[2] * r[4];
    r[7] = r[2] * r[3] - r[0] * r[5];
    r[8] = r[0] * r[4] - r[1] * r[3];
    return r;
}

void VectorFilter::next(std::vector<double>& given, double step_s, double unit) {
    if (value_.empty()) {
        value_ = last_ = given;
        speed_.assign(given.size(), 0);
        return;
    }
    const double rate = share(constants_.speed_cutoff_hz, step_s);
    for (std::size_t i = 0; i < given.size(); ++i) {
        speed_[i] += rate * ((given[i] - last_[i]) / step_s - speed_[i]);
    }
    last_ = given;
    const double whole = length(speed_.data(), speed_.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
        const double speed = joint_ ? whole : std::abs(speed_[i]);
        const double cutoff = constants_.min_cutoff_hz + constants_.beta * speed / unit;
        value_[i] += share(cutoff, step_s) * (given[i] - value_[i]);
    }
    given = value_;
}

Rotation RotationFilter::next(const Rotation& given, double step_s) {
    if (!started_) {
        started_ = true;
        speed_ = {};
        return value_ = last_ = given;
    }
    const std::array<double, 3> turn = turn_between(last_, given);
    const double rate = share(constants_.speed_cutoff_hz, step_s);
    for (int k = 0; k < 3; ++k) speed_[k] += rate * (turn[k] / step_s - speed_[k]);
    last_ = given;
    const double speed = length(speed_.data(), 3);
    std::array<double, 3> rest = turn_between(value_, given);
    const double taken = share(constants_.min_cutoff_hz + constants_.beta * speed, step_s);
    for (double& angle : rest) angle *= taken;
    return value_ = product(rotation_by(rest), value_);
}

Smoother::Smoother(const FaceModel& model, double identity_frames)
    : face_size_(model.landmark_extent()),
      identity_frames_(identity_frames > 0 ? identity_frames : tracking::identity_frames),
      identity_(contract::identity_count, 0.0),
      rotation_(tracking::rotation),
      place_(tracking::place, true),
      size_(tracking::size, true),
      expression_(tracking::expression, false) {}

Parameters Smoother::smooth(const Parameters& params, const ToFrame& to_frame, double time_s) {
    const double step = time_s_ ? time_s - *time_s_ : first_step_s;
    if (!(step > 0)) throw Error("the frames' times do not rise; give seconds from any start");
    if (step > tracking::restart_after_s) {
        rotation_.restart();
        place_.restart();
        size_.restart();
        expression_.restart();
    }
    time_s_ = time_s;
    Parameters changed = params;
    const Rotation rotation = rotation_of(&params[contract::rotation_start]);
    settle_identity(&changed[contract::identity_start], std::max(rotation[8], 0.0));
    float* weights = &changed[contract::expression_start];
    std::vector<double> expression(weights, weights + contract::expression_count);
    expression_.next(expression, step);
    std::transform(expression.begin(), expression.end(), weights,
                   [](double value) { return static_cast<float>(value); });

    float* shift = &changed[contract::translation_start];
    float& scale = changed[contract::scale_start];
    const double size_px = scale * to_frame.scale * face_size_;
    std::vector<double> log_size{std::log(size_px)};
    size_.next(log_size, step);
    std::vector<double> place{shift[0] * to_frame.scale + to_frame.x,
                              shift[1] * to_frame.scale + to_frame.y};
    place_.next(place, step, size_px);  // a near face and a far one are smoothed alike
    const Rotation smooth_rotation = rotation_.next(rotation, step);
    for (int k = 0; k < 6; ++k) {
        changed[contract::rotation_start + k] = static_cast<float>(smooth_rotation[k]);
    }
    scale = static_cast<float>(scale * std::exp(log_size[0]) / size_px);
    shift[0] = static_cast<float>((place[0] - to_frame.x) / to_frame.scale);
    shift[1] = static_cast<float>((place[1] - to_frame.y) / to_frame.scale);
    return changed;
}

void Smoother::settle_identity(float* identity, double weight) {
    if (!rests_) {
        frames_ += weight;
        const double part = weight / std::max(frames_, 1e-9);
        for (std::size_t i = 0; i < identity_.size(); ++i) {
            identity_[i] += part * (identity[i] - identity_[i]);
        }
        rests_ = frames_ >= identity_frames_;
    }
    std::transform(identity_.begin(), identity_.end(), identity,
                   [](double value) { return static_cast<float>(value); });
}

}  // namespace edge3d
