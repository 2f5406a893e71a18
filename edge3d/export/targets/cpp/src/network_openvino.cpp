// The network in OpenVINO, which reads .xml, .onnx and .tflite files.
#include <cstring>
#include <filesystem>

#include <openvino/openvino.hpp>

#include "edge3d.hpp"

namespace edge3d {
namespace {

class OpenVinoNetwork : public Network {
public:
    OpenVinoNetwork(const std::string& path, int threads) {
        if (!std::filesystem::is_regular_file(path)) {
            throw Error(path + ": no such file; give the path of the model file");
        }
        try {
            auto model = core_.read_model(path);
            const auto crop = static_cast<std::size_t>(contract::crop_px);
            if (model->input(0).get_element_type() != ov::element::u8) {
                throw Error(path + ": takes no bytes; export it again");
            }
            model->reshape({{1, crop, crop, 3}});
            request_ = core_.compile_model(model, "CPU",
                                           ov::hint::inference_precision(ov::element::f32),
                                           ov::inference_num_threads(threads), ov::num_streams(1))
                           .create_infer_request();
            input_ = request_.get_input_tensor();
            output_ = request_.get_output_tensor(0);
        } catch (const ov::Exception& error) {
            throw Error(path + ": OpenVINO refuses it, export it again: " +
                        std::string(error.what()).substr(0, 300));
        }
        if (output_.get_size() != contract::parameter_count) {
            throw Error(path + ": gives another number of parameters than contract.hpp");
        }
    }

    void run(const std::uint8_t* crop, float* whitened) override {
        std::memcpy(input_.data<std::uint8_t>(), crop, input_.get_byte_size());
        request_.infer();
        std::memcpy(whitened, output_.data<float>(), output_.get_byte_size());
    }

private:
    ov::Core core_;
    ov::InferRequest request_;
    ov::Tensor input_, output_;
};

}  // namespace

std::unique_ptr<Network> open_network(const std::string& path, int threads) {
    return std::make_unique<OpenVinoNetwork>(path, threads);
}

}  // namespace edge3d
