import unittest

from parcels.money import cents, text


class Money(unittest.TestCase):
    def test_whole_and_half(self):
        self.assertEqual(cents("12"), 1200)
        self.assertEqual(cents("12.5"), 1250)

    def test_every_cent_counts(self):
        self.assertEqual(cents("19.99"), 1999)
        self.assertEqual(cents("0.29"), 29)

    def test_only_plain_amounts(self):
        for wrong in ("1e3", "nan", "1.234", ""):
            with self.subTest(wrong), self.assertRaises(ValueError):
                cents(wrong)

    def test_text(self):
        self.assertEqual(text(1999), "19.99")
        self.assertEqual(text(5), "0.05")

    def test_a_refund(self):
        self.assertEqual(text(-150), "-1.50")


if __name__ == "__main__":
    unittest.main()
