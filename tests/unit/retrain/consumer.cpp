// What CMSSW does with an emulator library, in one file: load by name, prepare_input, predict, read_result.
//
//   consumer run VECTORS OUT NAME...   int16 vectors in, int32 latents and score of every library out, event by event
//   consumer wrong NAME                hands over pointers of wrong types and prints what the library says
//
// The interface is declared here once more, on purpose: a library whose own header drifts must fail this program.
#include <any>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ap_fixed.h"

namespace hls4mlEmulator {
struct Model {
    virtual void prepare_input(std::any) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any) = 0;
    virtual ~Model() = default;
};
} // namespace hls4mlEmulator

constexpr int n_inputs = 57, n_latent = N_LATENT;
typedef ap_fixed<18, 13> input_t;
typedef std::pair<std::array<ap_fixed<10, 6, AP_TRN, AP_SAT>, n_latent>, ap_ufixed<18, 14, AP_TRN, AP_SAT>> exact_t;
typedef std::pair<std::array<ap_fixed<10, 7, AP_RND_CONV, AP_SAT>, n_latent>, ap_ufixed<18, 14>> cmssw_v4_t;
typedef std::pair<ap_fixed<18, 14, AP_RND_CONV, AP_SAT>, ap_ufixed<18, 14>> cmssw_t;

typedef std::shared_ptr<hls4mlEmulator::Model> Loaded;

Loaded load(const std::string &name) {
    void *library = dlopen((name + ".so").c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr)
        throw std::runtime_error("cannot load " + name + ": " + dlerror());
    auto *create = reinterpret_cast<hls4mlEmulator::Model *(*)()>(dlsym(library, "create_model"));
    auto *destroy = reinterpret_cast<void (*)(hls4mlEmulator::Model *)>(dlsym(library, "destroy_model"));
    if (create == nullptr || destroy == nullptr)
        throw std::runtime_error(name + " has no create_model or no destroy_model: " + dlerror());
    return Loaded(create(), [destroy, library](hls4mlEmulator::Model *model) {
        destroy(model);
        dlclose(library);
    });
}

template <class Result> uint32_t score_in(Loaded &model) {
    Result result;
    model->read_result(&result);
    return result.second.range(17, 0).to_uint();
}

void run(const char *vectors, const char *out, std::vector<Loaded> models) {
    std::ifstream file(vectors, std::ios::binary);
    std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<int16_t> hardware(bytes.size() / 2);
    std::memcpy(hardware.data(), bytes.data(), hardware.size() * 2);
    std::vector<int32_t> answers;
    auto start = std::chrono::steady_clock::now();
    for (size_t event = 0; event < hardware.size() / n_inputs; event++) {
        input_t inputs[n_inputs];
        for (int i = 0; i < n_inputs; i++) {
            double value = hardware[event * n_inputs + i];
            inputs[i] = i % 3 == 0 ? 0.5 * value : value; // pt is hwPt/2, with its half
        }
        for (Loaded &model : models)
            model->prepare_input(inputs);
        for (Loaded &model : models)
            model->predict();
        for (Loaded &model : models) {
            exact_t result;
            model->read_result(&result);
            for (const auto &value : result.first)
                answers.push_back(static_cast<int32_t>(value.to_double() * 16));
            answers.push_back(result.second.range(17, 0).to_uint());
            if (event % 16 == 0 && (score_in<cmssw_v4_t>(model) != result.second.range(17, 0).to_uint() ||
                                    score_in<cmssw_t>(model) != result.second.range(17, 0).to_uint()))
                throw std::runtime_error("CMSSW's result types hold another score");
        }
    }
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::printf("%zu events, %.0f events/s\n", hardware.size() / n_inputs, hardware.size() / n_inputs / seconds.count());
    std::ofstream(out, std::ios::binary).write(reinterpret_cast<char *>(answers.data()), answers.size() * 4);
}

void wrong(Loaded model) {
    float floats[n_inputs] = {};
    input_t inputs[n_inputs] = {};
    exact_t result;
    std::any cases[] = {static_cast<float *>(floats), std::any(), static_cast<input_t *>(nullptr)};
    for (const std::any &one : cases) {
        try {
            model->prepare_input(one);
            std::puts("accepted");
        } catch (const std::exception &error) {
            std::puts(error.what());
        }
    }
    model->prepare_input(static_cast<input_t *>(inputs));
    model->predict();
    for (const std::any &one : {std::any(&floats[0]), std::any(result)}) {
        try {
            model->read_result(one);
            std::puts("accepted");
        } catch (const std::exception &error) {
            std::puts(error.what());
        }
    }
}

int main(int count, char **words) {
    try {
        if (std::string(words[1]) == "wrong") {
            wrong(load(words[2]));
            return 0;
        }
        std::vector<Loaded> models;
        for (int i = 4; i < count; i++)
            models.push_back(load(words[i]));
        run(words[2], words[3], std::move(models));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
