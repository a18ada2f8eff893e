"""From the name on the command line to an enricher."""

from collections.abc import Mapping

from faas.compute_module.pipeline.enrichers.credentials import gemini_key
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.enrichers.function import FunctionEnricher
from faas.compute_module.pipeline.enrichers.gemini import GeminiEnricher
from faas.compute_module.pipeline.enrichers.static import StaticEnricher
from faas.compute_module.pipeline.settings import Settings
from faas.errors import ConfigurationError

NAMES = ("gemini", "function", "static")


def choose_enricher(name: str, settings: Settings, function: str | None, environ: Mapping[str, str]) -> Enricher:
    """The enricher called `name`. Raises ConfigurationError when it lacks what it needs."""
    if name == "static":
        return StaticEnricher()
    if name == "function":
        if not function:
            raise ConfigurationError("--enricher function needs --function NAME")
        return FunctionEnricher(settings.faas_url, function)
    if name == "gemini":
        if not settings.gemini_model:
            raise ConfigurationError("--enricher gemini needs a model: set GEMINI_MODEL or --gemini-model")
        return GeminiEnricher(
            key=gemini_key(environ),
            model=settings.gemini_model,
            base_url=settings.gemini_base_url,
            capture_audit=settings.capture_audit,
        )
    raise ConfigurationError(f"--enricher={name!r}: one of {', '.join(NAMES)}")
