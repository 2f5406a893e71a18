// check_cpp FORMAT WIDTH HEIGHT FRAME FACE_MODEL X0 Y0 X1 Y1: writes the crop of a raw frame to
// standard output; fails if frames after the second one allocate. Its network gives zeros.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <string>

#include "edge3d.hpp"

static long allocations = 0;

void* operator new(std::size_t size) {
    ++allocations;
    if (void* found = std::malloc(size)) return found;
    throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

struct Zeros : edge3d::Network {
    void run(const std::uint8_t*, float* whitened) override {
        std::memset(whitened, 0, sizeof(float) * edge3d::contract::parameter_count);
    }
};

int main(int, char** argv) {
    const std::string format = argv[1];
    const int width = std::atoi(argv[2]), height = std::atoi(argv[3]);
    std::ifstream file(argv[4], std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    const int area = width * height;
    edge3d::Image image{edge3d::PixelFormat::rgb, width, height, {data, nullptr, nullptr}, {3 * width, 0, 0}};
    if (format == "bgr") image.format = edge3d::PixelFormat::bgr;
    if (format == "rgba") image.format = edge3d::PixelFormat::rgba, image.strides[0] = 4 * width;
    if (format == "nv21" || format == "nv12") {
        image.format = format == "nv21" ? edge3d::PixelFormat::nv21 : edge3d::PixelFormat::nv12;
        image.planes = {data, data + area, nullptr};
        image.strides = {width, width, 0};
    }
    if (format == "i420") {
        image.format = edge3d::PixelFormat::i420;
        image.planes = {data, data + area, data + area + area / 4};
        image.strides = {width, width / 2, width / 2};
    }
    edge3d::Reconstructor reconstructor(std::make_unique<Zeros>(), edge3d::FaceModel(argv[5]));
    const edge3d::Box box{std::atof(argv[6]), std::atof(argv[7]), std::atof(argv[8]), std::atof(argv[9])};
    for (int frame = 0; frame < 5; ++frame) {
        const long before = allocations;
        reconstructor.reconstruct(image, box);
        reconstructor.hold_identity(true);
        if (frame > 1 && allocations != before) {
            std::fprintf(stderr, "frame %d allocates\n", frame);
            return 1;
        }
    }
    const std::size_t size = edge3d::contract::crop_px * edge3d::contract::crop_px * 3;
    return std::fwrite(reconstructor.crop(), 1, size, stdout) == size ? 0 : 1;
}
