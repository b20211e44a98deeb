"""The deployed form of a problem's model with other weights."""

from torch import nn

from narrower.graph.lower import lower
from narrower.graph.program import Program, with_parameters
from narrower.study.problem import Problem


def program_of(problem: Problem, model: nn.Module) -> Program:
    """The program of a model of the same kind as the problem's."""
    subject = problem.subject
    found = with_parameters(subject.program, model, subject.program.network)
    return lower(found or subject.traced(model))
