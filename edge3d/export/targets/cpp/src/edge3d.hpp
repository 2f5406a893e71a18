// Faces in 3D from a camera's frames: crop, network, decode. See README.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "contract.hpp"

namespace edge3d {

// Something that the caller can put right: the message says what and how.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class PixelFormat { rgb, bgr, rgba, nv21, nv12, i420 };

// A camera's frame. rgb, bgr, rgba: one plane. nv21, nv12: Y, then pairs of V, U or U, V at half the
// resolution. i420: Y, U, V. Colours are BT.601 in video range, as phones' cameras give them.
struct Image {
    PixelFormat format;
    int width, height;
    std::array<const std::uint8_t*, 3> planes;
    std::array<int, 3> strides;  // bytes from one row to the next
};

// Edges in pixels of the frame; the first pixel reaches from 0 to 1.
struct Box {
    double x0, y0, x1, y1;
};

// One face, in pixels of the frame: x right, y down, z towards the camera.
struct Face {
    std::array<float, 68 * 3> landmarks;
    float yaw_deg, pitch_deg, roll_deg;  // as docs/images/pose.png of edge3d
    std::array<float, 9> rotation;       // face model to camera, rows, y up
    float scale_px;                      // pixels for one unit of the face model
    std::array<float, 2> translation_px; // where the face model's origin is
    std::array<float, contract::expression_count> blendshapes;
    const float* vertices;               // vertex_count x 3, or null; valid until the next face
    std::size_t vertex_count;
};

// The network, whatever runs it.
class Network {
public:
    virtual ~Network() = default;
    // Takes contract::crop_px squared RGB pixels, gives contract::parameter_count numbers.
    virtual void run(const std::uint8_t* crop, float* whitened) = 0;
};

// The bases that landmarks and vertices are made of, from face_model.bin.
class FaceModel {
public:
    // Throws Error: no such file, another one's, or cut off.
    explicit FaceModel(const std::string& path);

    // The larger side, across or down, of the mean face's landmarks, in the model's units.
    double landmark_extent() const;
    std::size_t vertex_count() const { return vertex_count_; }
    const std::vector<std::uint32_t>& triangles() const { return triangles_; }

private:
    friend class Reconstructor;
    std::size_t vertex_count_ = 0;
    std::vector<float> mean_, basis_;                    // 3 V; modes x 3 V
    std::vector<float> landmark_mean_, landmark_basis_;  // 3 * 68; modes x 3 * 68
    std::vector<std::uint32_t> triangles_;
};

class Smoother;

class Reconstructor {
public:
    Reconstructor(std::unique_ptr<Network> network, FaceModel model);

    // The face in a box of a frame. After the first frames nothing is allocated.
    // Throws Error: the frame or the box is empty.
    const Face& reconstruct(const Image& image, const Box& box, bool with_vertices = true);

    // The last face with its parameters smoothed (see tracking.hpp); times rise. Once the smoother's
    // identity rests it is held. next_box is that of the smoothed face then: take it before.
    const Face& decode_smoothed(Smoother& smoother, double time_s, bool with_vertices = true);

    // The identity of the last face is that of the ones to come, which makes vertices cheaper;
    // false ends that.
    void hold_identity(bool held);

    // The protocol's box of the last face's landmarks: where to look in the next frame.
    Box next_box() const;

    // The parameters of the last face, not whitened.
    const std::array<float, contract::parameter_count>& params() const { return params_; }
    const std::uint8_t* crop() const { return crop_.data(); }
    const FaceModel& model() const { return model_; }

private:
    void cut(const Image& image, const Box& box);
    void decode(bool with_vertices);

    std::unique_ptr<Network> network_;
    FaceModel model_;
    Face face_{};
    std::array<std::uint8_t, contract::crop_px * contract::crop_px * 3> crop_{};
    std::array<float, contract::parameter_count> params_{};
    std::vector<std::uint8_t> window_;  // the square of the frame, RGB
    std::vector<float> rows_, vertices_, held_;
    double to_frame_scale_ = 1, to_frame_x_ = 0, to_frame_y_ = 0;
    bool is_held_ = false;
};

// Shrinks or grows a square of RGB pixels as OpenCV's INTER_AREA and INTER_LINEAR do.
// `scratch` is made larger where that is needed.
void resize(const std::uint8_t* from, int side, std::uint8_t* to, int to_side,
            std::vector<float>& scratch);

// Opens the model file in the runtime that this library was built with.
// Throws Error: no such file, or it is not what contract.hpp was made for.
std::unique_ptr<Network> open_network(const std::string& path, int threads = 1);

}  // namespace edge3d
