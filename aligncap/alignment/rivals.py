"""The rivals that align before LLM decoding (paper, figure 3a): losses that pull the adapter's output towards text.

These losses are added to the NLL. ``mse`` and ``contrastive`` pull the output towards the LLM's input embeddings of the
text input ``[P_act; P_sem]`` with gold clues, which the teacher of KD-Regularization reads too. What exactly the paper
compares with is not known to us; both losses and the poolings are ours.

``secap`` is SECap (Xu et al., "SECap: Speech Emotion Captioning with Large Language Model", AAAI 2024) on our encoder
and LLM. As published (its abstract), a Q-Former bridges speech encoder and LLM, contrastive learning makes it extract
emotion-related features, and mutual information learning disentangles these from the speech content. In our reading the
contrastive term pairs a clip with its caption, the content is the transcript, and their mutual information is bounded
by vCLUB (Cheng et al., ICML 2020). The single linear heads, the mean of the transcript's LLM embeddings, the training
of all terms and the NLL in one stage, and P_act and P_sem in the speech input are ours too.

Each loss has one value for each utterance, ``[B]``; the stage weighs it by the number of response tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from aligncap.alignment.training_items import TrainingItem
from aligncap.captioner.adapter import Speech, masked_mean
from aligncap.captioner.model import CaptionModel
from aligncap.config import Alignment

SHARED = 128  # width of the space that secap's contrastive term compares in


def embed_texts(model: CaptionModel, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return the LLM's input embeddings of token ids, fp32 ``[B, N, H]``, and the mask ``[B, N]`` of real tokens."""
    width = max(1, *map(len, texts))
    ids = torch.zeros(len(texts), width, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text, dtype=torch.long)
    lengths = torch.tensor([len(text) for text in texts])
    mask = torch.arange(width) < lengths[:, None]
    with torch.no_grad():
        embedded: Tensor = model.llm.get_input_embeddings()(ids.to(model.device)).float()
    return embedded, mask.to(model.device)


def pooled_mse(speech: Tensor, text: Tensor) -> Tensor:
    """Compute the mean squared error ``mean_h (speech - text)^2``, ``[B]``, of pooled embeddings ``[B, H]``."""
    return (speech - text).pow(2).mean(-1)


def info_nce(speech: Tensor, text: Tensor, groups: Tensor, temperature: float) -> Tensor:
    """Compute the symmetric InfoNCE loss between speech and text embeddings within the batch, ``[B]``.

    It is ``-log exp(s_ii / t) / sum_j exp(s_ij / t)`` with cosines ``s``, averaged over both directions: clip i against
    all texts, and text i against all clips.

    Args:
        speech: Embeddings of the clips, ``[B, H]``.
        text: Embeddings of the texts, ``[B, H]``.
        groups: Group numbers of the texts, ``[B]``. Pairs of clips with equal texts are neither positive nor negative.
        temperature: Temperature ``t``.
    """
    scores = nn.functional.normalize(speech, dim=-1) @ nn.functional.normalize(text, dim=-1).mT / temperature
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill((groups[:, None] == groups[None, :]) & ~own, -torch.inf)
    target = torch.arange(len(scores), device=scores.device)
    cross_entropy = nn.functional.cross_entropy
    return 0.5 * (cross_entropy(scores, target, reduction="none") + cross_entropy(scores.mT, target, reduction="none"))


class VClub(nn.Module):
    """The variational contrastive log-ratio upper bound of mutual information (vCLUB; Cheng et al., ICML 2020).

    ``I(x; y) <= E_p(x,y) log q(y|x) - E_p(x) E_p(y) log q(y|x)`` where a network ``q(y|x) = N(mu(x), diag exp v(x))``
    is near the true conditional. Log-densities are per dimension of y (ours), so that the term's size does not depend
    on the LLM's width.

    Args:
        x_width: Width of x, which shall become independent of y.
        y_width: Width of y.
    """

    def __init__(self, x_width: int, y_width: int) -> None:
        super().__init__()
        self.conditional = nn.Sequential(nn.Linear(x_width, x_width), nn.ReLU(), nn.Linear(x_width, 2 * y_width))

    def _log_q(self, x: Tensor, y: Tensor, learning: bool) -> Tensor:
        """Compute ``log q(y_j | x_i) / Y`` up to a constant, ``[B, B]``; only q has a gradient if learning, else x."""
        parameters: dict[str, Tensor] = dict(self.conditional.named_parameters())
        if not learning:
            parameters = {name: parameter.detach() for name, parameter in parameters.items()}
        out = functional_call(self.conditional, parameters, (x.detach() if learning else x,))
        mean, log_variance = out.chunk(2, -1)
        log_variance = log_variance.tanh()  # on a batch of eight a free variance would fall to 0
        distance = (y[None, :, :] - mean[:, None, :]).pow(2)
        return -0.5 * (distance / log_variance.exp()[:, None, :] + log_variance[:, None, :]).mean(-1)

    def learning_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute the loss ``-log q(y_i | x_i)``, ``[B]``, that fits q; x gets no gradient."""
        return -self._log_q(x, y, learning=True).diagonal()

    def bound(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute the bound over the batch, a scalar in nat per dimension of y; q gets no gradient."""
        log_q = self._log_q(x, y, learning=False)
        return log_q.diagonal().mean() - log_q.mean()


class BeforeDecoding(nn.Module):
    """The loss of alignment before LLM decoding that ``alignment.before`` names.

    Its weights are needed only in training and are not saved in the checkpoint.

    Args:
        settings: Section ``alignment``.
        width: Width of the adapter's states.
        llm_width: Width of the LLM's embeddings.
    """

    def __init__(self, settings: Alignment, width: int, llm_width: int) -> None:
        super().__init__()
        self.settings = settings
        if settings.before == "secap":
            self.speech_head, self.caption_head = nn.Linear(width, SHARED), nn.Linear(llm_width, SHARED)
            self.club = VClub(width, llm_width)

    def forward(
        self, model: CaptionModel, speech: Speech, batch: Sequence[TrainingItem]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the weighted loss of each utterance, ``[B]``, and its terms ``[B]`` for the log."""
        if self.settings.before == "secap":
            return self._secap(model, speech, batch)
        texts = [model.context_ids(item.example.gold_p_act, item.example.p_sem_ids) for item in batch]
        embedded, mask = embed_texts(model, texts)
        if self.settings.before == "mse":
            loss = self._mse(model, speech, embedded, mask)
        else:
            # All texts share the mean of the token embeddings; without it, the cosines of different texts are lower.
            centre = model.llm.get_input_embeddings().weight.float().mean(0)
            pooled = masked_mean(speech.embeddings, speech.mask) - centre, masked_mean(embedded, mask) - centre
            loss = info_nce(*pooled, _groups(texts, speech.mask), self.settings.before_temperature)
        loss = torch.where(mask.any(1), loss, 0.0)  # without a text there is nothing to be pulled to
        return self.settings.before_weight * loss, {"before": loss}

    def _mse(self, model: CaptionModel, speech: Speech, text: Tensor, mask: Tensor) -> Tensor:
        """Compute the MSE divided by the mean square of the LLM's embeddings, so that its scale suits every LLM."""
        size = model.llm.get_input_embeddings().weight.float().pow(2).mean()
        return pooled_mse(masked_mean(speech.embeddings, speech.mask), masked_mean(text, mask)) / size

    def _secap(
        self, model: CaptionModel, speech: Speech, batch: Sequence[TrainingItem]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        states = masked_mean(speech.states, speech.mask)
        captions = [item.ids for item in batch]
        caption = masked_mean(*embed_texts(model, captions))
        temperature = self.settings.before_temperature
        heads = self.speech_head(states), self.caption_head(_standard(caption))
        contrastive = info_nce(*heads, _groups(captions, speech.mask), temperature)
        embedded, mask = embed_texts(model, [item.example.p_sem_ids for item in batch])
        known = mask.any(1)
        fit = information = torch.zeros_like(contrastive)
        if int(known.sum()) > 1:
            x, y = states[known], _standard(masked_mean(embedded, mask)[known])
            fit = fit.masked_scatter(known, self.club.learning_loss(x, y))
            # Mutual information is not negative: an estimate below 0 means that q is poor and must not train x.
            information = self.club.bound(x, y).clamp_min(0).expand_as(contrastive)
        weight, share = self.settings.before_weight, self.settings.before_mi_weight
        logged = {"before": contrastive, "information": information, "club_nll": fit}
        return weight * (contrastive + share * information) + fit, logged


def _standard(values: Tensor) -> Tensor:
    """Standardise each row to mean 0 and variance 1."""
    return nn.functional.layer_norm(values, values.shape[-1:])


def _groups(texts: Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """Number the texts so that equal texts have equal numbers."""
    numbers: dict[tuple[int, ...], int] = {}
    return torch.tensor([numbers.setdefault(tuple(text), len(numbers)) for text in texts], device=like.device)
