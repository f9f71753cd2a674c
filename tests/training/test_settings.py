from acr_sklearn.training.settings import history_rows


def test_a_history_keeps_losses_and_scores_alone():
    row = {"epoch": 7, "dur": 0.3, "train_loss_best": True, "train_batch_count": 2, "batches": [{}]}
    rows = history_rows([row | {"train_loss": 2, "valid_auc": 0.5, "event_lr": 0.1}], 3, 3)
    assert rows == [
        {"evaluation": 1, "n_steps": 3, "train_loss": 2.0, "valid_auc": 0.5, "event_lr": 0.1}
    ]


def test_the_last_evaluation_may_have_fewer_steps():
    rows = history_rows([{"train_loss": 1.0}] * 3, 10, 24)
    assert [(row["evaluation"], row["n_steps"]) for row in rows] == [(1, 10), (2, 20), (3, 24)]
