"""The README.md of an exported model: what it is, how it came about and how it is used."""

import json
from collections.abc import Mapping
from typing import Any

from ..network import NetworkModel

TEXT = """---
library_name: diffusers
pipeline_tag: unconditional-image-generation
tags:
- diffusers
- score-based-generative-modeling
---

# {name}

A diffusion model, exported by scoresde for diffusers. Loaded from this folder, its network and scheduler give what the
model gave, but for a relative difference of {error:.1g}.

| | |
|---|---|
{rows}

## Use

```python
from diffusers import {pipeline}

pipeline = {pipeline}.from_pretrained("{name}")
{call}
```

With all solvers of scoresde: `scoresde import {name} --out models/{name}{given}`.

## How it came about

{origin}

No licence was recorded with the model: state one here before you publish it.
"""


def card(model: NetworkModel, pipeline: str, name: str, error: float, record: Mapping[str, Any]) -> str:
    """The text of a model's README.md.

    Args:
        model: The model.
        pipeline: The class of diffusers that loads it.
        name: Name of its folder.
        error: Relative difference between what was exported and the model.
        record: How the model came about: tables such as `recipe` and `imported`.
    """
    facts = {
        "samples": " x ".join(map(str, model.shape)) + (" latents" if model.autoencoder is not None else ""),
        "parameters": f"{sum(p.numel() for p in model.net.parameters()):,}",
        "process": repr(model.sde) if model.sde.name != "chain" else "a chain of given levels",
        "predicts": str(model.predicts),
        **({"classes": str(model.classes)} if model.classes else {}),
    }
    told = {key: record[key] for key in ("recipe", "imported") if key in record}
    return TEXT.format(
        name=name,
        error=error,
        pipeline=pipeline,
        rows="\n".join(f"| {key} | {value} |" for key, value in facts.items()),
        call=_call(model, pipeline),
        given=_given(model, pipeline, record.get("recipe", {}).get("data", {})),
        origin=f"```json\n{json.dumps(told, indent=2)}\n```" if told else "It is not recorded.",
    )


def _given(model: NetworkModel, pipeline: str, data: Mapping[str, Any]) -> str:
    """What the import cannot read from the folder: the class that is none, and other pictures than photographs."""
    classes = f" --classes {model.classes}" if model.classes and pipeline != "DiTPipeline" else ""
    return classes + (f" --data {data['name']}" if "name" in data and "path" not in data else "")


def _call(model: NetworkModel, pipeline: str) -> str:
    if pipeline == "DiTPipeline":
        free = (
            "" if model.classes == 1000 else ", guidance_scale=1"
        )  # it guides by class number 1000, whatever there are
        return f"image = pipeline(class_labels=[0], num_inference_steps=50{free}).images[0]"
    if model.classes:
        return "output = pipeline.unet(x, timestep, class_labels).sample  # the pipeline itself gives no classes"
    if pipeline == "ScoreSdeVePipeline":
        return "image = pipeline(num_inference_steps=2000).images[0]"
    return "image = pipeline(num_inference_steps=50).images[0]"
