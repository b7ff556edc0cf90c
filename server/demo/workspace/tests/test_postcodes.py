import unittest

from parcels.postcodes import normalise


class Postcodes(unittest.TestCase):
    def test_as_it_should_be(self):
        self.assertEqual(normalise("1017 AB"), "1017 AB")

    def test_untidy(self):
        self.assertEqual(normalise("  1017ab "), "1017 AB")

    def test_no_leading_zero(self):
        with self.assertRaises(ValueError):
            normalise("0123 AB")

    def test_nothing_may_follow(self):
        with self.assertRaises(ValueError):
            normalise("1017 ABC")


if __name__ == "__main__":
    unittest.main()
