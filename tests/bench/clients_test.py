# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/cutover says about clients: that it finds what it is there to find."""

import sys
import unittest

sys.dont_write_bytecode = True

from harness.clients import (Transaction, judge, longest_silence_ms,  # noqa: E402
                             longest_stall_ms, under_way)  # fmt: skip


def transaction(number, start_us=0, end_us=1000, outcome="ok", client=1):
    return Transaction(client, number, start_us, end_us, outcome)


class Judging(unittest.TestCase):
    def test_all_that_was_acknowledged_and_nothing_else_is_faultless(self):
        verdict = judge([transaction(1), transaction(2)], [(1, 1), (1, 2)])
        self.assertTrue(verdict.faultless())
        self.assertEqual(verdict.acknowledged, 2)

    def test_clients_of_whom_none_was_answered_prove_nothing(self):
        self.assertFalse(judge([], []).faultless())

    def test_an_acknowledged_row_that_is_not_there_is_missing(self):
        verdict = judge([transaction(1), transaction(2)], [(1, 2)])
        self.assertEqual(verdict.missing, [(1, 1)])
        self.assertFalse(verdict.faultless())

    def test_the_same_number_of_another_client_does_not_make_up_for_it(self):
        verdict = judge([transaction(1)], [(2, 1)])
        self.assertEqual(verdict.missing, [(1, 1)])

    def test_a_row_that_is_there_twice_is_doubled(self):
        verdict = judge([transaction(1)], [(1, 1), (1, 1)])
        self.assertEqual(verdict.doubled, [(1, 1)])
        self.assertFalse(verdict.faultless())

    def test_a_row_whose_client_saw_an_error_must_not_be_there(self):
        verdict = judge([transaction(1, outcome="error")], [(1, 1)])
        self.assertEqual(verdict.undead, [(1, 1)])
        self.assertEqual(verdict.failed, 1)

    def test_an_unanswered_commit_may_be_there_or_not_and_is_counted(self):
        for rows in ([], [(1, 1)]):
            verdict = judge([transaction(1, outcome="unknown")], rows)
            self.assertEqual((verdict.unknown, verdict.missing, verdict.undead), (1, [], []))
            self.assertFalse(verdict.faultless())


class Waiting(unittest.TestCase):
    def test_under_way_is_what_had_begun_and_was_not_answered(self):
        before, across = transaction(1, 0, 1_000), transaction(2, 1_000, 301_000)
        after = transaction(3, 302_000, 303_000)
        self.assertEqual(under_way([before, across, after], 200_000), [across])

    def test_the_stall_is_that_of_the_unluckiest_client_at_the_time(self):
        some = [transaction(1, 0, 1_000), transaction(2, 1_000, 301_000),
                transaction(3, 900_000, 1_900_000)]  # fmt: skip
        self.assertEqual(longest_stall_ms(some, 5_000, 200_000), 300.0)

    def test_silence_is_the_time_without_any_answer(self):
        some = [transaction(1, 0, 10_000), transaction(2, 0, 250_000, client=2),
                transaction(3, 0, 100_000, outcome="error")]  # fmt: skip
        self.assertEqual(longest_silence_ms(some, 0, 300_000), 240.0)


if __name__ == "__main__":
    unittest.main()
