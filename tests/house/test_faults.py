"""Faults: a child is alone with what it makes itself."""

import gc
import os

from tests.faults import fork


class Waiting:
    """As an object of gRPC whose threads are not in the child: to collect it ends in no answer."""

    def __del__(self) -> None:
        if os.getpid() != PARENT:
            os._exit(1)


PARENT = os.getpid()


def test_a_fork_collects_nothing_that_other_tests_left():
    left = Waiting()
    left.itself = left
    del left
    child = fork()
    if child == 0:
        gc.collect()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gc.collect()
