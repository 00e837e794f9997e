"""A tiny text classifier with Hugging Face's Trainer; the callback reports, saves and stops.

Needs `pip install transformers accelerate`; nothing is downloaded. `python train.py` runs by
itself. One step is one optimizer step.
"""

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import shoal
from shoal.integrations.transformers import ShoalCallback, run_checkpoint

DEFAULTS = {"lr": 1e-3, "width": 32, "batch": 16}
WORDS, LENGTH = 50, 8


class Sentences(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Random words; the label says whether the first is from the upper half."""

    def __init__(self, count: int, seed: int) -> None:
        chance = torch.Generator().manual_seed(seed)
        self.words = torch.randint(0, WORDS, (count, LENGTH), generator=chance)

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        words = self.words[index]
        return {"input_ids": words, "labels": (words[0] >= WORDS // 2).long()}


def accuracy(found: tuple[torch.Tensor, torch.Tensor]) -> dict[str, float]:
    logits, labels = found
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}


def main() -> None:
    run = shoal.init(hyperparameters=DEFAULTS, max_time=40, distributed=False)
    hp = run.hyperparameters
    torch.manual_seed(run.seed)
    config = BertConfig(
        vocab_size=WORDS, hidden_size=hp["width"], num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=hp["width"], max_position_embeddings=LENGTH, num_labels=2,
    )  # fmt: skip
    arguments = TrainingArguments(
        "out", learning_rate=hp["lr"], per_device_train_batch_size=hp["batch"], max_steps=100_000,
        eval_strategy="steps", save_strategy="steps", logging_strategy="steps", eval_steps=20,
        save_steps=20, logging_steps=20, save_total_limit=1, report_to="none", disable_tqdm=True,
        seed=run.seed % 2**31,
    )  # fmt: skip
    trainer = Trainer(
        BertForSequenceClassification(config), arguments, train_dataset=Sentences(512, 0),
        eval_dataset=Sentences(128, 1), compute_metrics=accuracy, callbacks=[ShoalCallback(run)],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=run_checkpoint(run))


if __name__ == "__main__":
    main()
