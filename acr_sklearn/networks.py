"""The network that is meta-trained: backbone and objective head, or several of them stacked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from acr_sklearn.backbones import MLPBackbone, make_backbone, run_stacked
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
    hidden_layer_sizes : sequence of int, default=(512,)
        Widths of the "mlp" backbone.
    embedding_dim : int, default=32
        Width of the head.
    objective : {"dsvdd"}, default="dsvdd"
        Which head.
    whitening : Tensor of shape (n_features, n_features) or None, default=None
        For an "mlp" backbone that sees whitened features as well.
    """

    def __init__(
        self,
        n_features: int,
        backbone: str | nn.Module = "mlp",
        hidden_layer_sizes: Sequence[int] = (512,),
        embedding_dim: int = 32,
        objective: str = "dsvdd",
        whitening: Tensor | None = None,
    ):
        super().__init__()
        self.backbone = make_backbone(backbone, n_features, hidden_layer_sizes, whitening)
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
        embedding = self.objective.embed(self.backbone.layers(x, kept)[-1], kept)
        score: Tensor = self.objective.anomaly_score(self.objective(embedding))
        return score

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
    """Several networks that differ in where they start, trained on the same tasks.

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
        """Run all members on the same tasks; embedded backbones run stacked on an accelerator.

        On a CPU one after the other is faster: a step of three members took 1.1 to 1.3 times as
        long stacked, and 1.6 to 3 times as long under `torch.vmap`.

        Parameters
        ----------
        x : Tensor of shape (n_tasks, n_rows, n_features)
            A stack of tasks.

        Returns
        -------
        Tensor of shape (n_estimators, n_tasks, n_rows)
            The objective's output per member and row.
        """
        members = self._networks
        backbones = [member.backbone for member in members]
        embedded = [backbone for backbone in backbones if isinstance(backbone, MLPBackbone)]
        if len(embedded) == len(members) and x.device.type != "cpu":
            hidden = run_stacked(embedded, x)
        else:
            hidden = [backbone(x) for backbone in backbones]
        heads = [member.objective for member in members]
        outputs = [head(head.embed(h)) for head, h in zip(heads, hidden, strict=True)]
        return torch.stack(outputs)

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
        return torch.stack([m.anomaly_score(x, kept) for m in self._networks]).mean(dim=0)

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
