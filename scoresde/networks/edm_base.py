"""What the two networks of EDM have in common."""

from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import NetworkOptions, picture
from .edm_blocks import Block, Conv, Style
from .inputs import classed, halvable

Multipliers = tuple[PositiveInt, ...]


class EDMOptions(NetworkOptions):
    """What both networks have. The names of the options are those of the original, and so are the defaults."""

    model_channels: int = Field(128, ge=8, multiple_of=8, description="Channels, up to the factor of a level.")
    channel_mult: Multipliers = Field((1, 2, 2, 2), min_length=1, description="Factors of the channels of each level.")
    channel_mult_emb: int = Field(4, ge=1, description="Length of the embedding over model_channels.")
    num_blocks: int = Field(4, ge=1, description="Blocks of each level on the way down; one more on the way up.")
    attn_resolutions: tuple[PositiveInt, ...] = Field((16,), description="Heights that have attention.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout rate in each block.")
    augment_dim: int = Field(0, ge=0, description="Numbers that say how a picture was distorted, all zero here.")
    classless: bool = Field(True, description="Whether it was trained on samples without a class, too.")

    @property
    def null_class(self) -> bool:
        return self.classless

    def checked(self, shape: tuple[int, ...]) -> None:
        """Refuses what the network cannot be built for.

        Args:
            shape: Shape of one sample.

        Raises:
            UsageError: The samples are no images, a side cannot be halved often enough, or a variance is asked for.
        """
        picture(shape)
        halvable(shape[1:], len(self.channel_mult) - 1)
        if self.learned_variance:
            raise UsageError("the networks of EDM learn no variance: set network.learned_variance = false")


class EDMNetwork(nn.Module):
    """net(x, label, classes): x (B, C + extra, H, W), label and classes (B,) -> (B, C, H, W).

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
        noise: Length of what the time enters by.
        embedded: Length of what the class is added to.
        bias: Whether the class has a bias of its own.
    """

    def __init__(self, options: EDMOptions, shape: tuple[int, ...], noise: int, embedded: int, *, bias: bool) -> None:
        super().__init__()
        self.options, self.noise, self.inputs = options, noise, shape[0] + options.extra_channels
        width = options.model_channels * options.channel_mult_emb
        self.map_label = nn.Linear(options.classes, embedded, bias=bias) if options.classes else None
        self.map_augment = nn.Linear(options.augment_dim, noise, bias=False) if options.augment_dim else None
        self.map_layer0, self.map_layer1 = nn.Linear(noise, width), nn.Linear(width, width)

    def falling(self, style: Style, height: int, width: int) -> tuple[list[tuple[str, nn.Module]], list[int]]:
        """The blocks on the way down, by their names, and the channels of what each gives to the way up.

        Args:
            style: What all blocks share.
            height: Of the images.
            width: Channels after the first convolution.
        """
        o, named, skips = self.options, list[tuple[str, nn.Module]](), [width]
        for level, factor in enumerate(o.channel_mult):
            side = height >> level
            if level:
                named.append((f"{side}x{side}_down", Block(skips[-1], skips[-1], style, change=0.5)))
                skips.append(skips[-1])
            else:
                named.append((f"{side}x{side}_conv", Conv(self.inputs, width, 3)))
            for i in range(o.num_blocks):
                outputs, attention = factor * o.model_channels, side in o.attn_resolutions
                named.append((f"{side}x{side}_block{i}", Block(skips[-1], outputs, style, attention=attention)))
                skips.append(outputs)
        return named, skips

    def rising(self, style: Style, height: int, skips: list[int], *, last: bool) -> list[tuple[str, nn.Module]]:
        """The blocks on the way up, by their names.

        Args:
            style: What all blocks share.
            height: Of the images.
            skips: Channels of what the way down gives to it, which are used up.
            last: Whether the last block of a level alone has attention.
        """
        o, named, width = self.options, list[tuple[str, nn.Module]](), skips[-1]
        for level, factor in reversed(list(enumerate(o.channel_mult))):
            side = height >> level
            if level == len(o.channel_mult) - 1:
                named.append((f"{side}x{side}_in0", Block(width, width, style, attention=True)))
                named.append((f"{side}x{side}_in1", Block(width, width, style)))
            else:
                named.append((f"{side}x{side}_up", Block(width, width, style, change=2)))
            for i in range(o.num_blocks + 1):
                inputs, width = width + skips.pop(), factor * o.model_channels
                attention = side in o.attn_resolutions and (i == o.num_blocks or not last)
                named.append((f"{side}x{side}_block{i}", Block(inputs, width, style, attention=attention)))
        return named

    def class_embedding(self, classes: Tensor | None, x: Tensor, scale: float) -> Tensor | float:
        """What the class adds to an embedding, (B, ·): of `scale` at its place and 0 elsewhere, or of zeros for none.

        Args:
            classes: Class of each row, (B,), or None for no class.
            x: The images, (B, C, H, W).
            scale: What stands for a class.

        Raises:
            UsageError: The network knows no classes, or was not trained without one.
        """
        count = self.options.classes
        classes = classed(classes, x, count, null=self.options.classless)
        if classes is None or self.map_label is None:
            return 0.0
        out: Tensor = self.map_label(scale * functional.one_hot(classes, count + 1)[:, :count].to(x.dtype))
        return out
