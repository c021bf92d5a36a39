"""The training options: the table [train] of a configuration."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from ..core.options import Options
from ..models.predictions import Prediction, predictions
from ..models.predictions.eps import Noise
from ..observations.masks import FreeForm, Mask, masks
from ..observations.tasks import TaskOption
from ..observations.tasks.none import Unconditional
from ..sde.labels import Label, labels
from .profiles import WIDEST
from .time_laws import TimeLaw, time_laws
from .weightings import Weighting, weightings
from .weightings.simple import Simple

MaskOption = Annotated[
    Mask,
    BeforeValidator(masks.parse),
    PlainSerializer(str),
    Field(description="Random masks for inpaint, such as rectangle:most=0.25."),
]
PredictionOption = Annotated[
    Prediction,
    BeforeValidator(predictions.parse),
    PlainSerializer(str),
    Field(description="What the network predicts: eps, x0, v, score, flow, edm:data_std=0.5."),
]
WeightingOption = Annotated[
    Weighting,
    BeforeValidator(weightings.parse),
    PlainSerializer(str),
    Field(description="Weighting of the loss: simple (none), min-snr:cap=5, edm:data_std=0.5, likelihood."),
]
TimesOption = Annotated[
    TimeLaw | Literal["auto"],
    BeforeValidator(lambda value: value if value == "auto" else time_laws.parse(value)),
    PlainSerializer(str),
    Field(description="Training times: uniform, logsnr, log-normal, logit-normal; auto: that of the weighting."),
]
LabelOption = Annotated[
    Label | Literal["auto"],
    BeforeValidator(lambda value: value if value == "auto" else labels.parse(value)),
    PlainSerializer(str),
    Field(description="Time input: scaled:scale=999, step, sigma, log-sigma; auto: that of the process."),
]


class TrainOptions(Options):
    """How a score network is trained."""

    name = "train"
    images: int = Field(500_000, ge=1, description="Images seen in total, with repetitions.")
    batch: int = Field(128, ge=1, description="Images per step.")
    accumulate: int = Field(1, ge=1, description="Parts of a batch, computed one after the other to save memory.")
    seed: int = Field(0, ge=0, description="Seed of the weights, the data order, the times and the noise.")
    optimizer: Literal["adam", "adamw", "adamax", "lion"] = Field("adam", description="Optimiser.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of adamw and lion.")
    learning_rate: float = Field(2e-4, gt=0, description="Learning rate after the warm-up.")
    warmup: int = Field(10_000, ge=0, description="Images over which the learning rate rises linearly from 0.")
    decay: float = Field(
        0.0, ge=0, le=1, description="Last fraction of the run, over which the learning rate falls to 0."
    )
    fall: Literal["linear", "cosine"] = Field("linear", description="Shape of this fall: a line or half a cosine.")
    clip: float = Field(1.0, gt=0, description="Maximal gradient norm; larger gradients are scaled down.")
    ema: float = Field(50_000, gt=0, description="Half-life of the averaged weights, in images.")
    ema_also: tuple[Annotated[float, Field(gt=0)], ...] = Field((), description="Half-lives of further averages.")
    snapshot_every: int = Field(0, ge=0, description="Images between snapshots for averages of any width; 0 for none.")
    widths: tuple[Annotated[float, Field(gt=0, lt=WIDEST)], ...] = Field(
        (0.05, 0.1), description="Relative widths of the averages in snapshots."
    )
    init_from: str = Field("", description="Model whose weights the run starts from; by default random weights.")
    earliest: float = Field(1e-5, gt=0, lt=1, description="Earliest training time.")
    predicts: PredictionOption = Noise()
    loss: Literal["l2", "l1", "huber", "hybrid"] = Field(
        "l2", description="Loss; hybrid adds the variational bound, for a learned variance."
    )
    weighting: WeightingOption = Simple()
    times: TimesOption = "auto"
    condition: TaskOption = Unconditional()
    masks: MaskOption = FreeForm()
    label: LabelOption = "auto"
    label_dropout: float = Field(0.1, ge=0, le=1, description="Fraction of class labels that are hidden, for guidance.")
    flip: bool = Field(False, description="Mirror half of the images at random.")
    channels_last: bool = Field(False, description="Channels-last memory layout: faster from about 16x16 on.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Precision of the network in training; 16 bits are faster on a GPU."
    )
    shard: bool = Field(
        False, description="Distribute weights, optimiser and averages over the processes, to save memory."
    )
    compile: bool = Field(False, description="Compile the network with torch.compile: a minute more, then faster.")
    log_every: int = Field(10_000, ge=1, description="Images between two lines of metrics.jsonl.")
    sample_every: int = Field(100_000, ge=1, description="Images between two outputs of samples.")
    sample_first: int = Field(
        0,
        ge=0,
        description="Images before the first samples, with more after 2, 4, 8, ... times as many; 0 for none.",
    )
    save_every: int = Field(100_000, ge=1, description="Images between two checkpoints.")
    keep_every: int = Field(0, ge=0, description="Images between checkpoints that are kept; 0 keeps only the last two.")
    evaluate_every: int = Field(0, ge=0, description="Images between two evaluations; 0 for none.")
    evaluate_images: int = Field(512, ge=1, description="Held-out images for the loss in an evaluation.")
    buckets: int = Field(3, ge=1, description="Equal parts of the process with separate losses.")
    evaluate_samples: int = Field(0, ge=0, description="Samples for the Frechet distance in an evaluation; 0 for none.")
    extractor: str = Field(
        "", description="Extractor of this distance; by default a suitable bundled one, or the pixels."
    )
    evaluate_metrics: tuple[str, ...] = Field(
        (),
        description="Further metrics of these samples, such as fid and is, if their weights are installed.",
    )
    evaluate_nll: int = Field(0, ge=0, description="Held-out images for the likelihood in an evaluation; 0 for none.")
    tensorboard: bool = Field(False, description="Also write figures and samples for TensorBoard.")
    wandb: str = Field("", description="Project of Weights & Biases to which figures and samples are also sent.")
    skip_nonfinite: int = Field(0, ge=0, description="Maximal number of steps to skip for a non-finite loss.")

    @property
    def law(self) -> TimeLaw:
        """The law of the times: that of `times`, or the one that goes with the weighting."""
        return time_laws[self.weighting.law]() if self.times == "auto" else self.times

    @property
    def tracked(self) -> tuple[float, ...]:
        """The widths of the averages that are kept for snapshots."""
        return self.widths if self.snapshot_every else ()
