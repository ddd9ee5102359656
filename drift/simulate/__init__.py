"""Fills as a detector would deliver them, from a seed: ROOT files, their conditions and, apart, the truth."""

from drift.simulate.scenarios import KINDS, ScenarioError
from drift.simulate.stream import SimulatedStream, simulate

__all__ = ["KINDS", "ScenarioError", "SimulatedStream", "simulate"]
