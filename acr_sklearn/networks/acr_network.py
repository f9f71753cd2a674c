"""Backbone and objective head in one module, the network that is meta-trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acr_sklearn.networks.conv import ConvNetwork
from acr_sklearn.networks.mlp import MLPNetwork, make_backbone
from acr_sklearn.networks.objective_base import Objective
from acr_sklearn.networks.objectives import make_objective
from acr_sklearn.networks.user_module import StackedModule

__all__ = ["ACRNetwork"]

#: Numbers in the largest activation of tasks that a CPU runs together, see `ConvNetwork`.
_NUMBERS_TOGETHER = 2**20


class ACRNetwork(nn.Module):
    """Backbone and objective head in one module.

    Parameters
    ----------
    n_features : int
        Width of the input.
    backbone : {"mlp", "conv"} or nn.Module, default="mlp"
        Network before the head.
    hidden_layer_sizes : sequence of int, default=(512,)
        Widths of the "mlp" backbone.
    embedding_dim : int, default=32
        Width of the head.
    objective : {"dsvdd", "bce", "ntl"}, default="dsvdd"
        Which head.
    whitening : Tensor of shape (n_features, n_features) or None, default=None
        For an "mlp" backbone that sees whitened features as well.
    n_transformations : int, default=19
        For "ntl".
    transformation : {"residual", "feedforward", "multiplicative"}, default="residual"
        For "ntl".
    input_shape : tuple of int or None, default=None
        For "conv".
    conv_channels : sequence of int, default=(64, 64, 64, 64)
        For "conv".
    conv_downsampling : {"stride", "maxpool"}, default="stride"
        For "conv".
    """

    def __init__(
        self,
        n_features: int,
        backbone: str | nn.Module = "mlp",
        hidden_layer_sizes: Sequence[int] = (512,),
        embedding_dim: int = 32,
        objective: str = "dsvdd",
        whitening: Tensor | None = None,
        n_transformations: int = 19,
        transformation: str = "residual",
        input_shape: tuple[int, int, int] | None = None,
        conv_channels: Sequence[int] = (64, 64, 64, 64),
        conv_downsampling: str = "stride",
    ):
        super().__init__()
        self.backbone: MLPNetwork | ConvNetwork | StackedModule = make_backbone(
            backbone,
            n_features,
            hidden_layer_sizes,
            whitening,
            input_shape=input_shape,
            conv_channels=conv_channels,
            conv_downsampling=conv_downsampling,
        )
        self.objective: Objective = make_objective(
            objective,
            self.backbone.out_features,
            embedding_dim,
            n_features,
            n_transformations=n_transformations,
            transformation=transformation,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run the network under the statistics of each task's rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.

        Returns
        -------
        Tensor of shape (..., n_rows) or (..., n_rows, n_transformations)
            The objective's output per row.
        """
        at_once = self.tasks_at_once(x, x.device)
        return torch.cat([self._run(some) for some in x.split(at_once or len(x))])

    def _run(self, x: Tensor) -> Tensor:
        rows, mask = self.objective.expand(x)
        hidden = self.backbone(rows, mask)
        output: Tensor = self.objective(self.objective.embed(hidden, mask))
        return output

    def tasks_at_once(self, x: Tensor, device: torch.device | str) -> int:
        """Tasks that a CPU runs together before they fall out of its caches; 0 for all."""
        if x.dim() == 2 or torch.device(device).type != "cpu":
            return 0
        numbers = x.shape[1] * self.objective.n_views * self.backbone.largest
        at_once = max(1, _NUMBERS_TOGETHER // numbers)
        return at_once if at_once < len(x) else 0

    def layers_and_score(self, x: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute the layers and the objective's score of every row.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of batches of equal size.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        representation : Tensor of shape (..., n_rows, width)
            All hidden layers and the embedding, side by side.
        anomaly_score : Tensor of shape (..., n_rows)
            The objective's; high for abnormal rows.
        """
        n_rows = x.shape[-2]
        layers: list[Tensor] = []
        embeddings: list[Tensor] = []
        for some in self.objective.portions(x.shape[:-1].numel()):
            rows, mask = self.objective.expand(x, kept, some)
            seen = self.backbone.layers(rows, mask)
            embedding = self.objective.embed(seen[-1], mask)
            # Of later portions only what they add: the rows themselves come with every one.
            embeddings.append(embedding if not layers else embedding[..., n_rows:, :])
            layers = layers or [layer[..., :n_rows, :] for layer in seen]
        embedding = torch.cat(embeddings, dim=-2)
        score = self.objective.anomaly_score(self.objective(embedding))
        return torch.cat([*layers, embedding[..., :n_rows, :]], dim=-1), score

    def layers(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Compute the layers of every row, without the views that only the score needs.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of batches of equal size.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows, width)
            The first of what `layers_and_score` returns.
        """
        seen = self.backbone.layers(self.objective.alone(x, kept), kept)
        return torch.cat([*seen, self.objective.embed(seen[-1], kept)], dim=-1)

    def anomaly_score(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Score rows within their batch by the objective.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of batches of equal size.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        Tensor of shape (..., n_rows)
            High for abnormal rows.
        """
        if len(self.objective.portions(x.shape[:-1].numel())) > 1:
            return self.layers_and_score(x, kept)[1]
        rows, mask = self.objective.expand(x, kept)
        embedding = self.objective.embed(self.backbone.layers(rows, mask)[-1], mask)
        score: Tensor = self.objective.anomaly_score(self.objective(embedding))
        return score

    def distance(self, score: Tensor) -> Tensor:
        """Bring anomaly scores to the scale of a distance, for comparison with others.

        Parameters
        ----------
        score : Tensor of shape (..., n_rows)
            Scores of `layers_and_score`.

        Returns
        -------
        Tensor of shape (..., n_rows)
            Not negative, in the same order.
        """
        return self.objective.distance(score)

    def output_scores(self, output: Tensor) -> Tensor:
        """Anomaly scores from what `forward` returned.

        Parameters
        ----------
        output : Tensor of shape (..., n_rows) or (..., n_rows, n_transformations)
            What `forward` returned.

        Returns
        -------
        Tensor of shape (..., n_rows)
            High for abnormal rows.
        """
        return self.objective.anomaly_score(output)
