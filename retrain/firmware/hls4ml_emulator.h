// The interface through which CMSSW runs a trigger network; the order of the functions is the interface.
// A caller loads NAME.so, looks up create_model and destroy_model, and passes pointers inside std::any.
#ifndef RETRIGGER_HLS4ML_EMULATOR_H
#define RETRIGGER_HLS4ML_EMULATOR_H

#include <any>

namespace hls4mlEmulator {

class Model {
  public:
    virtual void prepare_input(std::any inputs) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any result) = 0;
    virtual ~Model() = default;
};

} // namespace hls4mlEmulator

extern "C" {
hls4mlEmulator::Model *create_model();
void destroy_model(hls4mlEmulator::Model *model);
}

#endif
