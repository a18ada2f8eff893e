"""Creation of the enricher that the settings name."""

from typing import assert_never

from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.enrichers.function import FunctionEnricher
from faas.compute_module.pipeline.enrichers.gemini import GeminiEnricher
from faas.compute_module.pipeline.enrichers.gemini_credentials import read_gemini_key
from faas.compute_module.pipeline.enrichers.static import StaticEnricher
from faas.compute_module.secret_files import read_secret
from faas.compute_module.settings import FaasVariables, GeminiVariables, RunSettings, load_settings
from faas.errors import ConfigurationError


def create_enricher(settings: RunSettings) -> Enricher:
    """Return the enricher `settings.enricher`. Raises ConfigurationError when a setting that it requires is missing."""
    match settings.enricher:
        case "static":
            return StaticEnricher()
        case "function":
            if not settings.function:
                raise ConfigurationError("--enricher function needs --function NAME")
            token = load_settings(FaasVariables).token
            return FunctionEnricher(
                settings.faas_url, settings.function, token=read_secret(token, "FAAS_TOKEN") if token else None
            )
        case "gemini":
            if not settings.gemini_model:
                raise ConfigurationError("--enricher gemini needs a model: set GEMINI_MODEL or --gemini-model")
            return GeminiEnricher(
                key=read_gemini_key(load_settings(GeminiVariables)),
                model=settings.gemini_model,
                base_url=settings.gemini_base_url,
                capture_audit=settings.capture_audit,
            )
        case _:
            assert_never(settings.enricher)
