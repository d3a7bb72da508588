"""Other products' names of model providers, and what they are here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Vendor:
    """A provider: its kind here, where it answers (nothing: has to be said), and where its key usually is."""

    kind: str
    base_url: str = ""
    key: str = ""


def _compatible(base_url: str, key: str) -> Vendor:
    return Vendor("openai-compatible", base_url, key)


VENDORS: Mapping[str, Vendor] = {
    "openai": Vendor("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": Vendor("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "azure": Vendor("azure-openai", "", "AZURE_API_KEY"),
    "azure-openai": Vendor("azure-openai", "", "AZURE_API_KEY"),
    "ollama": Vendor("ollama", "http://localhost:11434/v1"),
    "ollama_chat": Vendor("ollama", "http://localhost:11434/v1"),
    "cerebras": _compatible("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "deepseek": _compatible("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks_ai": _compatible("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "gemini": _compatible("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "groq": _compatible("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": _compatible("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": _compatible("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "openrouter": _compatible("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": _compatible("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "together_ai": _compatible("https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    "xai": _compatible("https://api.x.ai/v1", "XAI_API_KEY"),
    # Servers of one's own.
    "custom_openai": Vendor("openai-compatible"),
    "hosted_vllm": Vendor("openai-compatible"),
    "litellm_proxy": Vendor("openai-compatible"),
    "llamafile": Vendor("openai-compatible"),
    "lm_studio": Vendor("openai-compatible"),
    "openai_like": Vendor("openai-compatible"),
    "vllm": Vendor("openai-compatible"),
}
_BY_NAME = (
    (re.compile(r"(gpt-|o\d(-|$)|chatgpt-|codex-)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "gemini"),
    (re.compile(r"(mistral-(small|medium|large)|codestral|ministral|magistral)"), "mistral"),
    (re.compile(r"deepseek-"), "deepseek"),
)


def of_model(model: str) -> str:
    """Who makes a model that is named without its provider; empty when that cannot be told."""
    return next((vendor for pattern, vendor in _BY_NAME if pattern.match(model)), "")
