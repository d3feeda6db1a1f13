"""From a network to a program: lower, partition, check, place, assemble."""

from conntra_neuro.compiler.check import CheckResult
from conntra_neuro.compiler.program import AUTO, check, compile

__all__ = ["AUTO", "CheckResult", "check", "compile"]
