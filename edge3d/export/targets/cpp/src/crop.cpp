// The crop: a whole-pixel square of the frame, black beside it, resized to the network's size.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "edge3d.hpp"

namespace edge3d {
namespace {

// Ties go to the even number, as in Python's round and OpenCV's saturate_cast.
int rounded(double value) { return static_cast<int>(std::nearbyint(value)); }

std::uint8_t byte(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

// BT.601 in video range in 20 bits after the point, as OpenCV's cvtColor.
void rgb_of(int y, int u, int v, std::uint8_t* out) {
    const int half = 1 << 19;
    const int light = std::max(0, y - 16) * 1220542;
    u -= 128;
    v -= 128;
    out[0] = byte((light + half + 1673527 * v) >> 20);
    out[1] = byte((light + half - 852492 * v - 409993 * u) >> 20);
    out[2] = byte((light + half + 2116026 * u) >> 20);
}

void pixel(const Image& image, int x, int y, std::uint8_t* out) {
    const auto at = [&](int plane, int column, int row) {
        return image.planes[plane] + static_cast<std::ptrdiff_t>(row) * image.strides[plane] + column;
    };
    switch (image.format) {
        case PixelFormat::rgb: std::memcpy(out, at(0, 3 * x, y), 3); break;
        case PixelFormat::rgba: std::memcpy(out, at(0, 4 * x, y), 3); break;
        case PixelFormat::bgr: {
            const std::uint8_t* from = at(0, 3 * x, y);
            out[0] = from[2], out[1] = from[1], out[2] = from[0];
            break;
        }
        case PixelFormat::nv21:
        case PixelFormat::nv12: {
            const std::uint8_t* pair = at(1, x / 2 * 2, y / 2);
            const int v_first = image.format == PixelFormat::nv21;
            rgb_of(*at(0, x, y), pair[v_first], pair[1 - v_first], out);
            break;
        }
        case PixelFormat::i420:
            rgb_of(*at(0, x, y), *at(1, x / 2, y / 2), *at(2, x / 2, y / 2), out);
            break;
    }
}

// The bytes of a row of a plane.
int row_bytes(const Image& image, int plane) {
    const int half = (image.width + 1) / 2;
    switch (image.format) {
        case PixelFormat::rgba: return 4 * image.width;
        case PixelFormat::nv21:
        case PixelFormat::nv12: return plane ? 2 * half : image.width;
        case PixelFormat::i420: return plane ? half : image.width;
        default: return 3 * image.width;
    }
}

struct Square {
    int x, y, side;
};

// As edge3d.geometry.boxes.square_box: the shorter side grows to the longer; one that stops at the frame's
// border grows outwards.
Square square_of(const Box& box, int width, int height) {
    const bool good = std::isfinite(box.x0) && std::isfinite(box.y0) && std::isfinite(box.x1) &&
                      std::isfinite(box.y1) && box.x0 < box.x1 && box.y0 < box.y1;
    if (!good) throw Error("the box is empty or not finite; give x0 < x1 and y0 < y1 in pixels");
    const double longer = std::max(box.x1 - box.x0, box.y1 - box.y0);
    const double most = std::max(4096.0, 4.0 * std::max(width, height));
    const double far = std::max(std::max(std::abs(box.x0), std::abs(box.y0)),
                                std::max(std::abs(box.x1), std::abs(box.y1)));
    if (longer > most || far > 4 * most) {
        throw Error("the box is far larger than the frame or far away from it; give it in pixels");
    }
    const int side = std::max(1, rounded(longer));
    const auto low = [side](double start, double stop, int limit) {
        const bool short_of = side - (stop - start) > 1;
        if (short_of && start <= 0 && stop < limit) return rounded(stop) - side;
        if (short_of && stop >= limit && start > 0) return rounded(start);
        return rounded(0.5 * (start + stop) - 0.5 * side);
    };
    return {low(box.x0, box.x1, width), low(box.y0, box.y1, height), side};
}

// Weights of OpenCV's area interpolation (computeResizeAreaTab): for each target its sources.
template <typename Add>
void for_area(int target, double scale, int sources, Add add) {
    const double start = target * scale, stop = start + scale;
    const double cell = std::min(scale, sources - start);
    int first = static_cast<int>(std::ceil(start)), last = static_cast<int>(std::floor(stop));
    last = std::min(last, sources - 1);
    first = std::min(first, last);
    if (first - start > 1e-3) add(first - 1, static_cast<float>((first - start) / cell));
    for (int source = first; source < last; ++source) add(source, static_cast<float>(1.0 / cell));
    if (stop - last > 1e-3) {
        add(last, static_cast<float>(std::min(std::min(stop - last, 1.0), cell) / cell));
    }
}

void shrink(const std::uint8_t* from, int side, std::uint8_t* to, int to_side,
            std::vector<float>& scratch) {
    const double scale = static_cast<double>(side) / to_side;
    const std::size_t row_size = static_cast<std::size_t>(to_side) * 3;
    if (scratch.size() < 2 * row_size) scratch.resize(2 * row_size);
    float *row = scratch.data(), *sum = row + row_size;
    for (int y = 0; y < to_side; ++y) {
        std::fill(sum, sum + row_size, 0.0f);
        for_area(y, scale, side, [&](int source_y, float beta) {
            const std::uint8_t* line = from + static_cast<std::size_t>(source_y) * side * 3;
            std::fill(row, row + row_size, 0.0f);
            for (int x = 0; x < to_side; ++x) {
                for_area(x, scale, side, [&](int source_x, float alpha) {
                    for (int c = 0; c < 3; ++c) row[3 * x + c] += line[3 * source_x + c] * alpha;
                });
            }
            for (std::size_t i = 0; i < row_size; ++i) sum[i] += beta * row[i];
        });
        for (std::size_t i = 0; i < row_size; ++i) to[y * row_size + i] = byte(rounded(sum[i]));
    }
}

// OpenCV's area interpolation where the scale is a whole number.
void shrink_whole(const std::uint8_t* from, int side, std::uint8_t* to, int to_side) {
    const int step = side / to_side;
    const float share = 1.0f / (step * step);
    for (int y = 0; y < to_side; ++y) {
        for (int x = 0; x < to_side; ++x) {
            for (int c = 0; c < 3; ++c) {
                int sum = 0;
                for (int j = 0; j < step; ++j) {
                    for (int i = 0; i < step; ++i) {
                        sum += from[(static_cast<std::size_t>(y * step + j) * side + x * step + i) * 3 + c];
                    }
                }
                to[(y * to_side + x) * 3 + c] =
                    step == 2 ? byte((sum + 2) >> 2) : byte(rounded(sum * share));
            }
        }
    }
}

// OpenCV's bilinear interpolation of bytes: 11 bits after the point along a row, then a column.
void grow(const std::uint8_t* from, int side, std::uint8_t* to, int to_side) {
    const double scale = static_cast<double>(side) / to_side;
    const auto place = [&](int target, int& source, int& low, int& high) {
        float at = static_cast<float>((target + 0.5) * scale - 0.5);
        source = static_cast<int>(std::floor(at));
        at -= source;
        if (source < 0) source = 0, at = 0;
        if (source >= side - 1) source = side - 1, at = 0;
        low = rounded((1.0f - at) * 2048), high = rounded(at * 2048);
    };
    for (int y = 0; y < to_side; ++y) {
        int top, above, below;
        place(y, top, above, below);
        const std::uint8_t* lines[2] = {
            from + static_cast<std::size_t>(top) * side * 3,
            from + static_cast<std::size_t>(std::min(top + 1, side - 1)) * side * 3};
        for (int x = 0; x < to_side; ++x) {
            int left, before, after;
            place(x, left, before, after);
            const int right = std::min(left + 1, side - 1);
            for (int c = 0; c < 3; ++c) {
                int mixed[2];
                for (int k = 0; k < 2; ++k) {
                    mixed[k] = lines[k][3 * left + c] * before + lines[k][3 * right + c] * after;
                }
                const int value = ((above * (mixed[0] >> 4)) >> 16) + ((below * (mixed[1] >> 4)) >> 16);
                to[(y * to_side + x) * 3 + c] = byte((value + 2) >> 2);
            }
        }
    }
}

}  // namespace

void resize(const std::uint8_t* from, int side, std::uint8_t* to, int to_side,
            std::vector<float>& scratch) {
    if (side == to_side) {
        std::memcpy(to, from, static_cast<std::size_t>(side) * side * 3);
    } else if (side < to_side) {
        grow(from, side, to, to_side);
    } else if (side % to_side == 0) {
        shrink_whole(from, side, to, to_side);
    } else {
        shrink(from, side, to, to_side, scratch);
    }
}

void Reconstructor::cut(const Image& image, const Box& box) {
    const int planes = image.format == PixelFormat::i420 ? 3
                       : image.format == PixelFormat::nv21 || image.format == PixelFormat::nv12 ? 2
                                                                                                : 1;
    if (image.width <= 0 || image.height <= 0) throw Error("the frame is empty");
    for (int plane = 0; plane < planes; ++plane) {
        if (image.planes[plane] == nullptr) {
            throw Error("the frame has no plane " + std::to_string(plane));
        }
        if (image.strides[plane] < row_bytes(image, plane)) {
            throw Error("the stride of the frame's plane " + std::to_string(plane) + " is " +
                        std::to_string(image.strides[plane]) + ", less than the " +
                        std::to_string(row_bytes(image, plane)) + " bytes of a row");
        }
    }
    const Square square = square_of(box, image.width, image.height);
    const std::size_t size = static_cast<std::size_t>(square.side) * square.side * 3;
    if (window_.size() < size) window_.resize(size);
    std::memset(window_.data(), 0, size);
    const int x0 = std::max(square.x, 0), x1 = std::min(square.x + square.side, image.width);
    for (int y = std::max(square.y, 0); y < std::min(square.y + square.side, image.height); ++y) {
        std::uint8_t* out =
            window_.data() + (static_cast<std::size_t>(y - square.y) * square.side + (x0 - square.x)) * 3;
        for (int x = x0; x < x1; ++x, out += 3) pixel(image, x, y, out);
    }
    resize(window_.data(), square.side, crop_.data(), contract::crop_px, rows_);
    to_frame_scale_ = static_cast<double>(square.side) / contract::crop_px;
    to_frame_x_ = square.x + 0.5 * to_frame_scale_ - 0.5;
    to_frame_y_ = square.y + 0.5 * to_frame_scale_ - 0.5;
}

}  // namespace edge3d
