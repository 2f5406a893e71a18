// golden_cpp VECTORS FACE_MODEL: compares the C++ library with the golden vectors of tests/golden,
// whose JSON files are given as `kind count numbers` lines by test_cpp_golden.py in
// VECTORS. Prints the largest difference of each kind as JSON.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "tracking.hpp"

using Numbers = std::vector<double>;
using Case = std::map<std::string, Numbers>;

static std::map<std::string, double> differences;

template <typename Found>
void compare(const std::string& kind, const Found& found, const Numbers& wanted, std::size_t step = 1) {
    double& most = differences[kind];
    std::size_t at = 0;
    for (std::size_t i = 0; i < found.size(); i += 3 * step) {
        for (std::size_t k = i; k < std::min<std::size_t>(i + 3, found.size()); ++k, ++at) {
            if (at >= wanted.size()) throw edge3d::Error(kind + ": too many numbers");
            most = std::max(most, std::abs(static_cast<double>(found[k]) - wanted[at]));
        }
    }
    if (at != wanted.size()) throw edge3d::Error(kind + ": too few numbers");
}

Numbers numbers(const edge3d::Box& box) { return {box.x0, box.y0, box.x1, box.y1}; }
edge3d::Box box_of(const Numbers& n) { return {n.at(0), n.at(1), n.at(2), n.at(3)}; }

struct Given : edge3d::Network {
    Numbers whitened = Numbers(edge3d::contract::parameter_count, 0.0);
    void run(const std::uint8_t*, float* out) override { std::copy(whitened.begin(), whitened.end(), out); }
};

std::vector<char> bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Case> cases_of(const std::string& path) {
    std::ifstream file(path);
    std::vector<Case> cases;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        std::size_t count = 0;
        if (!(words >> name)) continue;
        if (name == "case") { cases.emplace_back(); continue; }
        words >> count;
        Numbers values(count);
        for (double& value : values) words >> value;
        cases.back()[name] = values;
    }
    if (cases.empty()) throw edge3d::Error(path + ": no cases");
    return cases;
}

int main(int, char** argv) try {
    const std::string folder = argv[1];
    const edge3d::FaceModel model(argv[2]);
    auto owned = std::make_unique<Given>();
    Given& network = *owned;
    edge3d::Reconstructor reconstructor(std::move(owned), model);
    const std::vector<char> pixels = bytes_of(std::string(argv[3]) + "/crop_image.rgb");
    const std::vector<char> crops = bytes_of(std::string(argv[3]) + "/crop_pixels.rgb");
    const std::size_t size = edge3d::contract::crop_px * edge3d::contract::crop_px * 3;
    edge3d::Image image{edge3d::PixelFormat::rgb, 300, 250, {}, {900, 0, 0}};
    image.planes[0] = reinterpret_cast<const std::uint8_t*>(pixels.data());

    const std::vector<Case> crop_cases = cases_of(folder + "/crop.txt");
    for (std::size_t i = 0; i < crop_cases.size(); ++i) {
        const Numbers& square = crop_cases[i].at("square");
        reconstructor.reconstruct(image, box_of(crop_cases[i].at("box")));
        const auto* wanted = reinterpret_cast<const std::uint8_t*>(crops.data()) + i * size;
        const bool grown = square[2] - square[0] < edge3d::contract::crop_px;
        compare(grown ? "enlarged" : "shrunk", Numbers(reconstructor.crop(), reconstructor.crop() + size),
                Numbers(wanted, wanted + size));
    }
    for (const Case& one : cases_of(folder + "/decode.txt")) {
        network.whitened = one.at("whitened");
        const edge3d::Face& face = reconstructor.reconstruct(image, box_of(crop_cases[0].at("box")));
        compare("params", reconstructor.params(), one.at("params"));
        compare("landmarks", face.landmarks, one.at("landmarks"));
        compare("vertices", std::vector<float>(face.vertices, face.vertices + 3 * face.vertex_count),
                one.at("vertices"), static_cast<std::size_t>(one.at("vertex_step")[0]));
        compare("angles", Numbers{face.yaw_deg, face.pitch_deg, face.roll_deg}, one.at("angles"));
        compare("own_box", numbers(reconstructor.next_box()), one.at("own_box"));
    }
    std::unique_ptr<edge3d::Smoother> smoother;
    for (const Case& one : cases_of(folder + "/smoothing.txt")) {
        if (!smoother) smoother = std::make_unique<edge3d::Smoother>(model, one.at("identity_frames")[0]);
        const Numbers& place = one.at("to_frame");
        edge3d::Parameters given;
        std::copy(one.at("params").begin(), one.at("params").end(), given.begin());
        compare("smoothed", smoother->smooth(given, {place[0], place[1], place[2]}, one.at("time_s")[0]),
                one.at("smoothed"));
    }
    if (!smoother->identity_rests()) throw edge3d::Error("the identity does not rest");
    const std::vector<Case> boxes = cases_of(folder + "/boxes.txt");
    for (const Case& one : boxes) {
        edge3d::Detection face{box_of(one.at("box")), 0.9f, {}};
        for (int i = 0; i < 6; ++i) face.keypoints[i] = {one.at("keypoints")[2 * i], one.at("keypoints")[2 * i + 1]};
        compare("crop_box", numbers(edge3d::crop_box(face)), one.at("crop_box"));
        Numbers ious;
        for (const Case& other : boxes) ious.push_back(edge3d::iou(face.box, box_of(other.at("box"))));
        compare("iou", ious, one.at("ious"));
    }
    for (const Case& one : cases_of(folder + "/following.txt")) {
        const std::vector<float> now(one.at("landmarks").begin(), one.at("landmarks").end());
        const std::vector<float> before(one.at("previous").begin(), one.at("previous").end());
        const edge3d::Box box = box_of(one.at("box"));
        compare("doubtful", Numbers{1.0 * edge3d::is_doubtful(box, now.data(), nullptr),
                                    1.0 * edge3d::is_doubtful(box, now.data(), before.data())},
                {one.at("doubtful_alone")[0], one.at("doubtful")[0]});
        compare("shape_change", Numbers{edge3d::shape_change(now.data(), before.data())}, one.at("shape_change"));
    }
    const char* separator = "{";
    for (const auto& [kind, value] : differences) {
        std::printf("%s\"%s\": %.9g", separator, kind.c_str(), value);
        separator = ", ";
    }
    std::printf("}\n");
    return 0;
} catch (const edge3d::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
