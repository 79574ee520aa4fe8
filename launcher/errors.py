"""Why a script ends early: each leaf is one sentence for people and the exit code of OPS-1, OPS-3, OPS-5 or OPS-6."""


class Refusal(Exception):
    """The script cannot go on; the message says what to do."""

    exit_code = 1


class MissingNeed(Refusal):
    """Something this machine must bring is not there."""

    exit_code = 3
