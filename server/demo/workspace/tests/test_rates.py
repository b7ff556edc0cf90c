import unittest

from parcels.rates import price


class Rates(unittest.TestCase):
    def test_inside_a_bracket(self):
        self.assertEqual(price(499, "home"), 420)
        self.assertEqual(price(501, "eu"), 1295)

    def test_the_limit_belongs_to_its_bracket(self):
        self.assertEqual(price(500, "home"), 420)
        self.assertEqual(price(20000, "eu"), 2795)

    def test_too_heavy(self):
        with self.assertRaises(ValueError):
            price(20001, "home")

    def test_no_weight_and_no_such_zone(self):
        with self.assertRaises(ValueError):
            price(0, "home")
        with self.assertRaises(ValueError):
            price(100, "moon")


if __name__ == "__main__":
    unittest.main()
