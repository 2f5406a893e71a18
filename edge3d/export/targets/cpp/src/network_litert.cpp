// The network in LiteRT, TensorFlow Lite's successor, which reads .tflite files: for phones.
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "edge3d.hpp"

// What is used here of LiteRT's C API (litert/c, from 2.2 on); its packages do not all have headers.
extern "C" {
struct LiteRtObject;
using LiteRtHandle = LiteRtObject*;
int LiteRtCreateEnvironment(int count, const void* options, LiteRtHandle* environment);
void LiteRtDestroyEnvironment(LiteRtHandle environment);
int LiteRtCreateModelFromFile(LiteRtHandle environment, const char* path, LiteRtHandle* model);
void LiteRtDestroyModel(LiteRtHandle model);
int LiteRtGetModelSignature(LiteRtHandle model, std::size_t index, LiteRtHandle* signature);
int LiteRtGetSignatureInputTensorByIndex(LiteRtHandle signature, std::size_t index,
                                         LiteRtHandle* tensor);
int LiteRtGetSignatureOutputTensorByIndex(LiteRtHandle signature, std::size_t index,
                                          LiteRtHandle* tensor);
int LiteRtGetRankedTensorType(LiteRtHandle tensor, void* type);
int LiteRtCreateOptions(LiteRtHandle* options);
void LiteRtDestroyOptions(LiteRtHandle options);
int LiteRtSetOptionsHardwareAccelerators(LiteRtHandle options, int accelerators);
int LiteRtCreateOpaqueOptions(const char* name, void* text, void (*free_text)(void*),
                              LiteRtHandle* options);
int LiteRtAddOpaqueOptions(LiteRtHandle options, LiteRtHandle opaque_options);
int LiteRtCreateCompiledModel(LiteRtHandle environment, LiteRtHandle model, LiteRtHandle options,
                              LiteRtHandle* compiled);
void LiteRtDestroyCompiledModel(LiteRtHandle compiled);
int LiteRtGetCompiledModelInputBufferRequirements(LiteRtHandle compiled, std::size_t signature,
                                                  std::size_t index, LiteRtHandle* requirements);
int LiteRtGetCompiledModelOutputBufferRequirements(LiteRtHandle compiled, std::size_t signature,
                                                   std::size_t index, LiteRtHandle* requirements);
int LiteRtCreateManagedTensorBufferFromRequirements(LiteRtHandle environment, const void* type,
                                                    LiteRtHandle requirements, LiteRtHandle* buffer);
void LiteRtDestroyTensorBuffer(LiteRtHandle buffer);
int LiteRtGetTensorBufferPackedSize(LiteRtHandle buffer, std::size_t* size);
int LiteRtLockTensorBuffer(LiteRtHandle buffer, void** address, int mode);
int LiteRtUnlockTensorBuffer(LiteRtHandle buffer);
int LiteRtRunCompiledModel(LiteRtHandle compiled, std::size_t signature, std::size_t inputs,
                           LiteRtHandle* input, std::size_t outputs, LiteRtHandle* output);
}

namespace edge3d {
namespace {

constexpr int cpu = 1, read = 0, write = 1;

// A handle that is given back at the end.
template <void (*destroy)(LiteRtHandle)>
class Owned {
public:
    Owned() = default;
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() {
        if (handle_ != nullptr) destroy(handle_);
    }
    operator LiteRtHandle() const { return handle_; }
    LiteRtHandle* out() { return &handle_; }

private:
    LiteRtHandle handle_ = nullptr;
};

class LiteRtNetwork : public Network {
public:
    LiteRtNetwork(const std::string& path, int threads) {
        if (!std::filesystem::is_regular_file(path)) {
            throw Error(path + ": no such file; give the path of the model file");
        }
        const auto check = [&path](int status) {
            if (status != 0) {
                throw Error(path + ": LiteRT refuses it (status " + std::to_string(status) +
                            "), export it again");
            }
        };
        check(LiteRtCreateEnvironment(0, nullptr, environment_.out()));
        check(LiteRtCreateModelFromFile(environment_, path.c_str(), model_.out()));
        Owned<LiteRtDestroyOptions> options;
        check(LiteRtCreateOptions(options.out()));
        check(LiteRtSetOptionsHardwareAccelerators(options, cpu));
        LiteRtHandle cpu_options = nullptr;  // belongs to the options
        const std::string text = "num_threads = " + std::to_string(threads) + "\n";
        check(LiteRtCreateOpaqueOptions("cpu_options", strdup(text.c_str()), std::free, &cpu_options));
        check(LiteRtAddOpaqueOptions(options, cpu_options));
        check(LiteRtCreateCompiledModel(environment_, model_, options, compiled_.out()));

        LiteRtHandle signature = nullptr, tensor = nullptr, needed = nullptr;
        alignas(16) unsigned char type[512];  // of a tensor; larger than LiteRT's own
        check(LiteRtGetModelSignature(model_, 0, &signature));
        check(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor));
        check(LiteRtGetRankedTensorType(tensor, type));
        check(LiteRtGetCompiledModelInputBufferRequirements(compiled_, 0, 0, &needed));
        check(LiteRtCreateManagedTensorBufferFromRequirements(environment_, type, needed, input_.out()));
        check(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor));
        check(LiteRtGetRankedTensorType(tensor, type));
        check(LiteRtGetCompiledModelOutputBufferRequirements(compiled_, 0, 0, &needed));
        check(LiteRtCreateManagedTensorBufferFromRequirements(environment_, type, needed, output_.out()));

        std::size_t size = 0;
        check(LiteRtGetTensorBufferPackedSize(input_, &size));
        if (size != crop_bytes) throw Error(path + ": takes no bytes; export it again");
        check(LiteRtGetTensorBufferPackedSize(output_, &size));
        if (size != contract::parameter_count * sizeof(float)) {
            throw Error(path + ": gives another number of parameters than contract.hpp");
        }
    }

    void run(const std::uint8_t* crop, float* whitened) override {
        copy(input_, write, [&](void* to) { std::memcpy(to, crop, crop_bytes); });
        if (LiteRtRunCompiledModel(compiled_, 0, 1, input_.out(), 1, output_.out()) != 0) {
            throw Error("LiteRT could not run the network");
        }
        copy(output_, read, [&](const void* from) {
            std::memcpy(whitened, from, contract::parameter_count * sizeof(float));
        });
    }

private:
    static constexpr std::size_t crop_bytes = std::size_t{contract::crop_px} * contract::crop_px * 3;

    template <typename Copy>
    static void copy(LiteRtHandle buffer, int mode, Copy copy_bytes) {
        void* address = nullptr;
        if (LiteRtLockTensorBuffer(buffer, &address, mode) != 0) {
            throw Error("LiteRT gives no memory of the network");
        }
        copy_bytes(address);
        LiteRtUnlockTensorBuffer(buffer);
    }

    // Given back in the opposite order.
    Owned<LiteRtDestroyEnvironment> environment_;
    Owned<LiteRtDestroyModel> model_;
    Owned<LiteRtDestroyCompiledModel> compiled_;
    Owned<LiteRtDestroyTensorBuffer> input_, output_;
};

}  // namespace

std::unique_ptr<Network> open_network(const std::string& path, int threads) {
    return std::make_unique<LiteRtNetwork>(path, threads);
}

}  // namespace edge3d
