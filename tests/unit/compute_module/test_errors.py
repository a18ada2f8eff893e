"""The error tree of the compute module."""

import inspect
import re

from faas import errors as faas_errors
from faas.compute_module import errors
from faas.errors import ConfigurationError, FaasError


def _depths(error: type[FaasError], depth: int = 0) -> list[tuple[str, int]]:
    """The names of `error` and of its subclasses in `errors`, each with its depth, in the order of definition."""
    below = [each for each in error.__subclasses__() if each.__module__ == errors.__name__]
    return [(error.__name__, depth), *[entry for each in below for entry in _depths(each, depth + 1)]]


def test_errors_docstring_draws_the_complete_tree() -> None:
    lines = re.findall(r"^((?:│   )*[├└]── |)(\w+)(?:  .*)?$", errors.__doc__ or "", flags=re.MULTILINE)
    drawn = [(name, len(indent) // 4) for indent, name in lines]
    drawn.remove((ConfigurationError.__name__, 1))  # defined in faas.errors
    assert drawn == _depths(FaasError)


def test_errors_of_the_compute_module_are_not_in_faas_errors() -> None:
    defined = {
        name for name, each in vars(errors).items() if inspect.isclass(each) and each.__module__ == errors.__name__
    }
    assert defined
    assert not defined & set(vars(faas_errors))
