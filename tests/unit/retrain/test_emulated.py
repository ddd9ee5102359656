"""A champion's own library is asked in a process of its own: whatever it does ends in scores or in one error."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from retrain import bundle
from retrain.emulated import emulated
from retrain.errors import EmulatorFailedError

SUMS = """
#include <cstdio>
#include <cstdlib>
extern "C" {
int emulator_inputs() { return INPUTS; }
int emulator_latent() { return 1; }
void emulator_batch(const short *in, unsigned long n, int *latent, int *score) {
    for (unsigned long i = 0; i < n; i++) { score[i] = 0; for (int k = 0; k < 57; k++) score[i] += in[i * 57 + k]; }
    BODY
}
}
"""


def with_library(sealed, folder, body="", inputs=57):
    """Return a champion whose library does what is written here."""
    (folder / "champion" / "emulator").mkdir(parents=True)
    source = folder / "sums.cpp"
    source.write_text(SUMS.replace("BODY", body).replace("INPUTS", str(inputs)))
    out = folder / "champion" / bundle.EMULATOR
    subprocess.run(["g++", "-shared", "-fPIC", str(source), "-o", str(out)], check=True, timeout=120)
    return replace(sealed, path=folder / "champion")


def test_scores_are_the_librarys_own_also_when_it_talks(sealed, tmp_path, events):
    champion = with_library(sealed, tmp_path, 'std::printf("hello"); std::fflush(stdout);')
    found = emulated(champion, events)

    assert np.array_equal(found, events.astype(np.int64).sum(axis=0))
    assert len(emulated(champion, events[:, :0])) == 0


def test_a_library_that_ends_its_process_is_an_error_that_says_so(sealed, tmp_path, events):
    with pytest.raises(EmulatorFailedError, match="ended by signal 6"):
        emulated(with_library(sealed, tmp_path, "std::abort();"), events)


def test_a_library_for_other_inputs_is_refused(sealed, tmp_path, events):
    with pytest.raises(EmulatorFailedError, match="it takes 44 inputs, 57 were given"):
        emulated(with_library(sealed, tmp_path, inputs=44), events)


def test_a_file_that_is_no_library_cannot_be_loaded(sealed, events):
    with pytest.raises(EmulatorFailedError, match="cannot be loaded"):
        emulated(sealed, events)
