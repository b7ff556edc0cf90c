import unittest

from parcels.receipts import receipt, total


class Receipts(unittest.TestCase):
    def test_without_a_discount(self):
        self.assertEqual(total([(400, "home"), (600, "eu")]), 1715)

    def test_the_discount_is_taken_from_the_sum(self):
        self.assertEqual(total([(600, "home"), (700, "eu")], 15), 1692)

    def test_half_a_cent_rounds_up(self):
        self.assertEqual(total([(600, "eu")], 10), 1166)

    def test_the_limit_of_a_bracket(self):
        self.assertEqual(receipt([(500, "home")]), "home 500 g  4.20\ntotal  4.20")


if __name__ == "__main__":
    unittest.main()
