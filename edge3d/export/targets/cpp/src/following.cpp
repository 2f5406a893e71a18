// The crop rule, overlaps, and what raises doubt about a followed face.
#include <algorithm>
#include <cmath>

#include "tracking.hpp"
#include "tracking_constants.hpp"

namespace edge3d {
namespace {

double area(const Box& box) { return std::max(0.0, box.x1 - box.x0) * std::max(0.0, box.y1 - box.y0); }

template <std::size_t N>
double dot(const std::array<double, N>& one, const double (&other)[N]) {
    double sum = 0;
    for (std::size_t i = 0; i < N; ++i) sum += one[i] * other[i];
    return sum;
}

void check(const Box& box) {
    const bool finite = std::isfinite(box.x0) && std::isfinite(box.y0) && std::isfinite(box.x1) &&
                        std::isfinite(box.y1);
    if (!finite || area(box) <= 0) {
        throw Error("the box is empty or not finite; give x0 < x1 and y0 < y1 in pixels");
    }
}

struct Shape {
    explicit Shape(const float* landmarks) : points(landmarks) {
        const Box box = landmark_box(landmarks);
        side = box.x1 - box.x0;
        for (int i = 0; i < 68; ++i) {
            for (int k = 0; k < 2; ++k) mean[k] += static_cast<double>(points[3 * i + k]) / 68;
        }
    }

    double at(int point, int axis) const { return (points[3 * point + axis] - mean[axis]) / side; }

    const float* points;
    double side, mean[2] = {0, 0};
};

}  // namespace

// Offset and side are linear in the keypoints' places in the box.
Box crop_box(const Detection& face) {
    check(face.box);
    const double x = (face.box.x0 + face.box.x1) / 2, y = (face.box.y0 + face.box.y1) / 2;
    const double unit = std::sqrt(area(face.box));
    std::array<Point, 6> p;
    for (std::size_t i = 0; i < p.size(); ++i) {
        p[i] = {(face.keypoints[i].x + 0.5 - x) / unit, (face.keypoints[i].y + 0.5 - y) / unit};
    }
    const std::array<double, 6> odd{(p[0].x + p[1].x) / 2, p[2].x, p[3].x, (p[4].x + p[5].x) / 2,
                                    (p[1].y - p[0].y) / 2, (p[5].y - p[4].y) / 2};
    const std::array<double, 7> even{1, (p[0].y + p[1].y) / 2, p[2].y, p[3].y, (p[4].y + p[5].y) / 2,
                                     (p[1].x - p[0].x) / 2, (p[5].x - p[4].x) / 2};
    const double centre_x = x + unit * dot(odd, tracking::offset_x);
    const double centre_y = y + unit * dot(even, tracking::offset_y);
    const double log_side = std::clamp(dot(even, tracking::log_side), tracking::log_side_low,
                                       tracking::log_side_high);
    const double half = unit * std::exp(log_side) / 2;
    return {centre_x - half, centre_y - half, centre_x + half, centre_y + half};
}

double iou(const Box& one, const Box& other) {
    const double common = area({std::max(one.x0, other.x0), std::max(one.y0, other.y0),
                                std::min(one.x1, other.x1), std::min(one.y1, other.y1)});
    return common / std::max(area(one) + area(other) - common, 1e-9);
}

Box landmark_box(const float* landmarks) {
    double low[2] = {landmarks[0], landmarks[1]}, high[2] = {low[0], low[1]};
    for (int i = 1; i < 68; ++i) {
        for (int k = 0; k < 2; ++k) {
            low[k] = std::min<double>(low[k], landmarks[3 * i + k]);
            high[k] = std::max<double>(high[k], landmarks[3 * i + k]);
        }
    }
    const double half = 0.5 * std::sqrt(2.0) * std::max(high[0] - low[0], high[1] - low[1]);
    const double x = 0.5 * (low[0] + high[0]) + 0.5, y = 0.5 * (low[1] + high[1]) + 0.5;
    return {x - half, y - half, x + half, y + half};
}

double shape_change(const float* landmarks, const float* previous) {
    const Shape now(landmarks), before(previous);
    double sum = 0;
    for (int i = 0; i < 68; ++i) {
        for (int k = 0; k < 2; ++k) sum += std::pow(now.at(i, k) - before.at(i, k), 2);
    }
    return std::sqrt(sum / 68);
}

bool is_doubtful(const Box& box, const float* landmarks, const float* previous) {
    check(box);
    const Box own = landmark_box(landmarks);
    const double side = box.x1 - box.x0;
    const double shift = std::max(std::abs(own.x0 + own.x1 - box.x0 - box.x1),
                                  std::abs(own.y0 + own.y1 - box.y0 - box.y1)) / 2 / side;
    if (std::abs(std::log((own.x1 - own.x0) / side)) > tracking::max_log_size) return true;
    if (shift > tracking::max_shift) return true;
    return previous != nullptr && shape_change(landmarks, previous) > tracking::max_shape_change;
}

}  // namespace edge3d
