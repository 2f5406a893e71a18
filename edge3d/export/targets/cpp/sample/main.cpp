// edge3d_sample MODEL FACE_MODEL IMAGE.ppm X0 Y0 X1 Y1 [--time N]
// Prints the face in a box of an image as JSON; with --time, the median time of N frames in ms.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "edge3d.hpp"

namespace {

edge3d::Image read_ppm(const std::string& path, std::vector<std::uint8_t>& pixels) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int width = 0, height = 0, most = 0;
    file >> magic >> width >> height >> most;
    if (!file || magic != "P6" || most != 255 || width <= 0 || height <= 0) {
        throw edge3d::Error(path + ": is no binary PPM of 8 bits");
    }
    file.get();
    pixels.resize(static_cast<std::size_t>(width) * height * 3);
    file.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
    if (!file) throw edge3d::Error(path + ": is cut off");
    return {edge3d::PixelFormat::rgb, width, height, {pixels.data(), nullptr, nullptr}, {3 * width, 0, 0}};
}

void print(const char* name, const float* values, std::size_t count, const char* after) {
    std::printf("\"%s\": [", name);
    for (std::size_t i = 0; i < count; ++i) std::printf("%s%.9g", i ? ", " : "", values[i]);
    std::printf("]%s", after);
}

double median_ms(edge3d::Reconstructor& reconstructor, const edge3d::Image& image,
                 const edge3d::Box& box, int rounds) {
    reconstructor.hold_identity(true);
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
        const auto start = std::chrono::steady_clock::now();
        reconstructor.reconstruct(image, box);
        const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
        times.push_back(took.count());
    }
    std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
    return times[rounds / 2];
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 8 && !(argc == 10 && std::string(argv[8]) == "--time")) {
        std::cerr << "usage: edge3d_sample MODEL FACE_MODEL IMAGE.ppm X0 Y0 X1 Y1 [--time N]\n";
        return 2;
    }
    try {
        edge3d::Reconstructor reconstructor(edge3d::open_network(argv[1]), edge3d::FaceModel(argv[2]));
        std::vector<std::uint8_t> pixels;
        const edge3d::Image image = read_ppm(argv[3], pixels);
        const edge3d::Box box{std::atof(argv[4]), std::atof(argv[5]), std::atof(argv[6]), std::atof(argv[7])};
        const edge3d::Face& face = reconstructor.reconstruct(image, box);
        std::printf("{\"yaw_deg\": %.9g, \"pitch_deg\": %.9g, \"roll_deg\": %.9g, ", face.yaw_deg,
                    face.pitch_deg, face.roll_deg);
        print("landmarks", face.landmarks.data(), face.landmarks.size(), ", ");
        print("blendshapes", face.blendshapes.data(), face.blendshapes.size(), ", ");
        print("vertices", face.vertices, 3 * face.vertex_count, "");
        if (argc == 10) {
            const int rounds = std::max(1, std::atoi(argv[9]));
            std::printf(", \"median_ms\": %.4f", median_ms(reconstructor, image, box, rounds));
        }
        std::printf("}\n");
    } catch (const edge3d::Error& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 2;
    }
    return 0;
}
