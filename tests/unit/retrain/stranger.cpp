// A library as an experiment might hand it over: its own scaling, CMSSW's v4 result types, and every way to misbehave.
#include <any>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "ap_fixed.h"

namespace hls4mlEmulator {
struct Model {
    virtual void prepare_input(std::any) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any) = 0;
    virtual ~Model() = default;
};
} // namespace hls4mlEmulator

#ifndef MODE
#define MODE 0
#endif

struct Stranger final : hls4mlEmulator::Model {
    ap_ufixed<18, 14> score = 0;
    int calls = 0;

    void prepare_input(std::any given) override {
        auto *inputs = std::any_cast<ap_fixed<18, 13> *>(given);
        double sum = MODE == 1 ? calls++ : 0; // 1: it remembers
        for (int i = 0; i < 57; i += 3)       // every pt, half a GeV and all
            sum += inputs[i].to_double();
        score = sum;
        if (MODE == 2)
            std::abort();
        while (MODE == 3) {
        }
        if (MODE == 4)
            throw std::runtime_error("I only take AXOL1TL events");
        if (MODE == 5)
            for (int i = 0; i < 20000; i++)
                std::printf("a stranger says %d\n", i);
        if (MODE == 6)
            std::exit(0);
    }
    void predict() override {}
    void read_result(std::any given) override {
        typedef std::pair<std::array<ap_fixed<10, 7, AP_RND_CONV, AP_SAT>, 8>, ap_ufixed<18, 14>> result_t;
        std::any_cast<result_t *>(given)->second = score;
    }
};

#if MODE != 7
extern "C" hls4mlEmulator::Model *create_model() { return new Stranger(); }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
#endif
