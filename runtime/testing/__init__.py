"""Doubles of engines for fast tests, and the tap that proves what reached an engine."""

from runtime.testing.fake import FailingEngine, FakeEngine, NeverEngine, SlowEngine
from runtime.testing.tap import EngineTap, TapRequest

__all__ = ["EngineTap", "FailingEngine", "FakeEngine", "NeverEngine", "SlowEngine", "TapRequest"]
