import json

from command_line import run, trained


def test_a_model_says_what_it_was_trained_on():
    done = run("info", trained().model)
    assert done.code == 0
    for line in (
        "trained on 5 domains in 2 steps",
        "  s0.csv: 60 rows",
        "  a (number)",
        "missing values: fill",
        "threshold: train, contamination 0.1, offset ",
    ):
        assert line in done.out
    assert "acr-sklearn 0." in done.out.partition("versions:")[2]


def test_what_it_says_of_its_columns_as_json():
    found = json.loads(run("info", trained().model, "--json").out)
    assert [column["name"] for column in found["columns"]] == ["a", "b", "c"]


def test_files_that_are_no_models(tmp_path):
    cut = tmp_path / "cut"
    cut.write_bytes(trained().model.read_bytes()[:-9])
    for path, message in (
        (cut, "which is damaged"),
        (tmp_path / "gone", "No such file"),
        (tmp_path, "no plain file"),
        (trained().data / "s0.csv", "no safetensors file"),
    ):
        done = run("info", path)
        assert done.code == 1
        assert message in done.err
