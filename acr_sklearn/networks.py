"""The network that is meta-trained: backbone and objective head, or several of them stacked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acr_sklearn.backbones import make_backbone
from acr_sklearn.objectives import OBJECTIVES

__all__ = ["ACREnsemble", "ACRNetwork"]


class ACRNetwork(nn.Module):
    """Backbone and objective head in one module.

    Parameters
    ----------
    n_features : int
        Width of the input.
    backbone : {"mlp"} or nn.Module, default="mlp"
        Network before the head.
    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Widths of the "mlp" backbone.
    embedding_dim : int, default=32
        Width of the head.
    objective : {"dsvdd"}, default="dsvdd"
        Which head.
    """

    def __init__(
        self,
        n_features: int,
        backbone: str | nn.Module = "mlp",
        hidden_layer_sizes: Sequence[int] = (128, 128, 128),
        embedding_dim: int = 32,
        objective: str = "dsvdd",
    ):
        super().__init__()
        self.backbone = make_backbone(backbone, n_features, hidden_layer_sizes)
        self.objective = OBJECTIVES[objective](self.backbone.out_features, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Run the network under the statistics of each task's rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of tasks.

        Returns
        -------
        Tensor of shape (..., n_rows)
            The objective's output per row.
        """
        output: Tensor = self.objective(self.objective.embed(self.backbone(x)))
        return output

    def views(self, x: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute what scoring looks at.

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
        layers = self.backbone.layers(x, kept)
        embedding = self.objective.embed(layers[-1], kept)
        score = self.objective.anomaly_score(self.objective(embedding))
        return torch.cat([*layers, embedding], dim=-1), score

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
        return self.views(x, kept)[1]

    def output_scores(self, output: Tensor) -> Tensor:
        """Anomaly scores from what `forward` returned.

        Parameters
        ----------
        output : Tensor of shape (..., n_rows)
            What `forward` returned.

        Returns
        -------
        Tensor of shape (..., n_rows)
            High for abnormal rows.
        """
        return self.objective.anomaly_score(output)


class ACREnsemble(nn.Module):
    """Several networks that differ in where they start, trained stacked in one pass.

    Of a user's module each member has a copy; there only the heads start apart.

    Parameters
    ----------
    n_estimators : int
        Members.
    **network
        Of `ACRNetwork`.
    """

    def __init__(self, n_estimators: int, **network: object):
        super().__init__()
        self.members = nn.ModuleList(ACRNetwork(**network) for _ in range(n_estimators))  # type: ignore[arg-type]

    @property
    def backbone(self) -> nn.Module:
        """Backbone of the first member, of the kind that all have."""
        return self._networks[0].backbone

    @property
    def _networks(self) -> list[ACRNetwork]:
        return [member for member in self.members if isinstance(member, ACRNetwork)]

    def forward(self, x: Tensor) -> Tensor:
        """Run all members on the same tasks, their weights stacked.

        Parameters
        ----------
        x : Tensor of shape (n_tasks, n_rows, n_features)
            A stack of tasks.

        Returns
        -------
        Tensor of shape (n_estimators, n_tasks, n_rows)
            The objective's output per member and row. Only for training: the weights are put
            into one member for the time of the call, which other threads would see.
        """
        first = self._networks[0]
        own = [dict(member.named_parameters()) for member in self._networks]
        stacked = {name: torch.stack([part[name] for part in own]) for name in own[0]}

        def run(weights: dict[str, Tensor]) -> Tensor:
            out: Tensor = torch.func.functional_call(first, weights, (x,))
            return out

        return torch.vmap(run, randomness="different")(stacked)

    def views(self, x: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute what scoring looks at: the members' layers side by side, their mean score.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features) or (n_tasks, n_rows, n_features)
            One batch, or a stack of batches of equal size.
        kept : Tensor of shape (..., n_rows), bool, or None
            Rows that the statistics are computed on; None: all.

        Returns
        -------
        representation : Tensor of shape (..., n_rows, n_estimators * width)
            All hidden layers and embeddings.
        anomaly_score : Tensor of shape (..., n_rows)
            Mean over the members; high for abnormal rows.
        """
        views = [member.views(x, kept) for member in self._networks]
        representations, scores = zip(*views, strict=True)
        return torch.cat(representations, dim=-1), torch.stack(scores).mean(dim=0)

    def anomaly_score(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Score rows within their batch by the mean of the members' objectives.

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
        return self.views(x, kept)[1]

    def output_scores(self, output: Tensor) -> Tensor:
        """Anomaly scores from what `forward` returned.

        Parameters
        ----------
        output : Tensor of shape (n_estimators, n_tasks, n_rows)
            What `forward` returned.

        Returns
        -------
        Tensor of shape (n_tasks, n_rows)
            Mean over the members.
        """
        return self._networks[0].output_scores(output).mean(dim=0)
