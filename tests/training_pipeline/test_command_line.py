import sys

import pytest

from training_pipeline.__main__ import main


def test_without_the_training_extra_the_commands_name_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has run `make setup` only gets a line and no traceback."""
    monkeypatch.delitem(sys.modules, "training_pipeline.command_line", raising=False)
    monkeypatch.delitem(sys.modules, "training_pipeline.bundle.scaling_fit", raising=False)
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == (
        "error: scipy is not installed; expected the training extra; run `make setup-training`\n"
    )
