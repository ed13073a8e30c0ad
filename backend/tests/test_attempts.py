"""Limits of attempts."""

from todo.attempts import AttemptLimit


def test_limit_applies_per_key_and_time() -> None:
    now = 0.0
    limit = AttemptLimit(2, 60, clock=lambda: now)
    assert [limit.take("anna") for _ in range(4)] == [0, 0, 60, 60]
    assert limit.take("bert") == 0
    now = 59.0
    assert limit.take("anna") == 1
    now = 60.0
    assert limit.take("anna") == 0


def test_forgotten_attempts_do_not_count() -> None:
    limit = AttemptLimit(1, 60)
    limit.take("anna")
    limit.forget("anna")
    assert limit.take("anna") == 0
    limit.forget("nobody")


def test_memory_has_a_bound() -> None:
    limit = AttemptLimit(1, 60, keys=2)
    for key in ("anna", "bert", "carl"):
        limit.take(key)
    assert limit.take("anna") == 0
    assert limit.take("carl") > 0
