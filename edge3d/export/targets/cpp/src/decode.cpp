// From the network's numbers to landmarks, vertices, pose and blendshapes.
#include <algorithm>
#include <cmath>
#include <fstream>

#include "edge3d.hpp"
#include "tracking.hpp"

namespace edge3d {
namespace {

constexpr double degrees = 180.0 / 3.14159265358979323846;

struct Camera {
    float linear[9];  // rows, y down
    float shift[2];
};

// sum of modes times weights, on top of `start`; basis is modes x size.
void combine(const float* start, const float* basis, const float* weights, std::size_t modes,
             std::size_t size, float* out) {
    std::copy(start, start + size, out);
    for (std::size_t m = 0; m < modes; ++m) {
        const float weight = weights[m];
        if (weight == 0.0f) continue;
        const float* mode = basis + m * size;
        for (std::size_t i = 0; i < size; ++i) out[i] += weight * mode[i];
    }
}

void place(const Camera& camera, double scale, double x0, double y0, float* points,
           std::size_t count) {
    for (std::size_t i = 0; i < count; ++i, points += 3) {
        const float x = points[0], y = points[1], z = points[2];
        const float* m = camera.linear;
        const float crop[3] = {m[0] * x + m[1] * y + m[2] * z + camera.shift[0],
                               m[3] * x + m[4] * y + m[5] * z + camera.shift[1],
                               m[6] * x + m[7] * y + m[8] * z};
        points[0] = static_cast<float>(crop[0] * scale + x0);
        points[1] = static_cast<float>(crop[1] * scale + y0);
        points[2] = static_cast<float>(crop[2] * scale);
    }
}

// The number that a half-precision one (IEEE 754 binary16) stands for.
float single(std::uint16_t half) {
    const int exponent = (half >> 10) & 31, fraction = half & 1023;
    const float value = exponent ? std::ldexp(1024.0f + fraction, exponent - 25)
                                 : std::ldexp(static_cast<float>(fraction), -24);
    return half & 0x8000 ? -value : value;
}

template <typename T>
void read(std::ifstream& file, const std::string& path, T* to, std::size_t count) {
    file.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count * sizeof(T)));
    if (!file) throw Error(path + ": is cut off; copy face_model.bin again");
}

template <typename T>
void read(std::ifstream& file, const std::string& path, std::vector<T>& to, std::size_t count) {
    to.resize(count);
    read(file, path, to.data(), count);
}

}  // namespace

FaceModel::FaceModel(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error(path + ": cannot be opened; give the path of face_model.bin");
    char name[72];
    read(file, path, name, sizeof name);
    if (std::string(name, 8) != "edge3df2" || std::string(name + 8, 64) != contract::face_model_sha256) {
        throw Error(path + ": is not the face model of contract.hpp; copy face_model.bin again");
    }
    std::uint32_t counts[3];  // vertices, modes, triangles
    read(file, path, counts, 3);
    if (counts[1] != contract::identity_count + contract::expression_count) {
        throw Error(path + ": has another number of modes than contract.hpp");
    }
    vertex_count_ = counts[0];
    const std::size_t size = 3 * vertex_count_, modes = counts[1];
    read(file, path, mean_, size);
    read(file, path, landmark_mean_, 3 * 68);
    read(file, path, landmark_basis_, modes * 3 * 68);
    read(file, path, triangles_, 3 * static_cast<std::size_t>(counts[2]));
    std::vector<std::uint16_t> halves;
    read(file, path, halves, modes * size);
    basis_.resize(halves.size());
    std::transform(halves.begin(), halves.end(), basis_.begin(), single);
}

double FaceModel::landmark_extent() const {
    double low[2] = {landmark_mean_[0], landmark_mean_[1]}, high[2] = {low[0], low[1]};
    for (std::size_t i = 0; i < landmark_mean_.size(); ++i) {
        if (i % 3 == 2) continue;
        low[i % 3] = std::min<double>(low[i % 3], landmark_mean_[i]);
        high[i % 3] = std::max<double>(high[i % 3], landmark_mean_[i]);
    }
    return std::max(high[0] - low[0], high[1] - low[1]);
}

Reconstructor::Reconstructor(std::unique_ptr<Network> network, FaceModel model)
    : network_(std::move(network)), model_(std::move(model)) {
    if (!network_) throw Error("there is no network; make one with open_network");
    rows_.resize(2 * 3 * contract::crop_px);
    vertices_.resize(3 * model_.vertex_count());
    held_.resize(3 * model_.vertex_count());
}

const Face& Reconstructor::reconstruct(const Image& image, const Box& box, bool with_vertices) {
    cut(image, box);
    network_->run(crop_.data(), params_.data());
    for (std::size_t i = 0; i < params_.size(); ++i) {
        params_[i] = params_[i] * contract::stddev[i] + contract::mean[i];
    }
    for (std::size_t i = 0; i < contract::expression_count; ++i) {
        float& weight = params_[contract::expression_start + i];
        weight = std::clamp(weight, contract::expression_low, contract::expression_high);
    }
    decode(with_vertices);
    return face_;
}

const Face& Reconstructor::decode_smoothed(Smoother& smoother, double time_s, bool with_vertices) {
    const ToFrame to_frame{to_frame_scale_, to_frame_x_, to_frame_y_};
    params_ = smoother.smooth(params_, to_frame, time_s);
    if (smoother.identity_rests() && !is_held_) hold_identity(true);
    decode(with_vertices);
    return face_;
}

void Reconstructor::hold_identity(bool held) {
    if (held) {
        combine(model_.mean_.data(), model_.basis_.data(), &params_[contract::identity_start],
                contract::identity_count, model_.mean_.size(), held_.data());
    }
    is_held_ = held;
}

Box Reconstructor::next_box() const { return landmark_box(face_.landmarks.data()); }

void Reconstructor::decode(bool with_vertices) {
    const Rotation r = rotation_of(&params_[contract::rotation_start]);
    std::copy_n(&params_[contract::expression_start], contract::expression_count,
                face_.blendshapes.begin());
    const double scale = params_[contract::scale_start];
    const float* shift = &params_[contract::translation_start];
    Camera camera{};
    for (int k = 0; k < 9; ++k) {
        face_.rotation[k] = static_cast<float>(r[k]);
        camera.linear[k] = static_cast<float>((k / 3 == 1 ? -scale : scale) * r[k]);
    }
    for (int k = 0; k < 2; ++k) camera.shift[k] = shift[k];
    face_.scale_px = static_cast<float>(scale * to_frame_scale_);
    face_.translation_px = {static_cast<float>(shift[0] * to_frame_scale_ + to_frame_x_),
                            static_cast<float>(shift[1] * to_frame_scale_ + to_frame_y_)};
    const double sine = std::clamp(-r[2], -1.0, 1.0);
    const bool locked = std::abs(sine) > 1 - 1e-9;
    face_.yaw_deg = static_cast<float>(degrees * std::asin(sine));
    face_.pitch_deg = static_cast<float>(
        degrees * (locked ? std::atan2(-r[7], r[4]) : std::atan2(r[5], r[8])));
    face_.roll_deg = locked ? 0.0f : static_cast<float>(degrees * std::atan2(r[1], r[0]));

    const float* identity = &params_[contract::identity_start];
    const std::size_t modes = contract::identity_count + contract::expression_count;
    combine(model_.landmark_mean_.data(), model_.landmark_basis_.data(), identity, modes, 3 * 68,
            face_.landmarks.data());
    place(camera, to_frame_scale_, to_frame_x_, to_frame_y_, face_.landmarks.data(), 68);
    face_.vertices = nullptr;
    face_.vertex_count = 0;
    if (!with_vertices) return;
    const std::size_t size = vertices_.size();
    if (is_held_) {
        combine(held_.data(), model_.basis_.data() + contract::identity_count * size,
                &params_[contract::expression_start], contract::expression_count, size,
                vertices_.data());
    } else {
        combine(model_.mean_.data(), model_.basis_.data(), identity, modes, size, vertices_.data());
    }
    place(camera, to_frame_scale_, to_frame_x_, to_frame_y_, vertices_.data(), model_.vertex_count());
    face_.vertices = vertices_.data();
    face_.vertex_count = model_.vertex_count();
}

}  // namespace edge3d
