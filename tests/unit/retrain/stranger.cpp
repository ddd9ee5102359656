// A library as an experiment might hand it over: CMSSW's result types (FORM), and every way to misbehave (MODE).
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

// 0: of v3 and v4, an array and a score; 1: of later ones, a value and a score; 2: a bare score, signed
#ifndef FORM
#define FORM 0
#endif
#if FORM == 0
typedef std::pair<std::array<ap_fixed<10, 7, AP_RND_CONV, AP_SAT>, 8>, ap_ufixed<18, 14>> result_t;
#elif FORM == 1
typedef std::pair<ap_fixed<18, 14, AP_RND_CONV, AP_SAT>, ap_ufixed<18, 14>> result_t;
#else
typedef ap_fixed<18, 14, AP_RND_CONV, AP_SAT> result_t;
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
        result_t &result = *std::any_cast<result_t *>(given);
#if FORM == 2
        result = score.to_double() - 100.0;
#else
        result.second = score;
#endif
    }
};

#if MODE != 7
extern "C" hls4mlEmulator::Model *create_model() { return new Stranger(); }
extern "C" void destroy_model(hls4mlEmulator::Model *model) { delete model; }
#endif
