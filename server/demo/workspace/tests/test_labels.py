import unittest

from parcels.labels import wrap


class Labels(unittest.TestCase):
    def test_words_stay_whole(self):
        self.assertEqual(wrap("Keizersgracht 12 Amsterdam", 14), ["Keizersgracht", "12 Amsterdam"])

    def test_a_long_word_is_cut_with_a_hyphen(self):
        self.assertEqual(wrap("Wolkenkrabberstraat 1", 10), ["Wolkenkra-", "bberstraat", "1"])

    def test_a_cut_word_shares_its_last_line(self):
        self.assertEqual(wrap("Wolkenkrabbers 1", 10), ["Wolkenkra-", "bbers 1"])

    def test_short(self):
        self.assertEqual(wrap("Dam 1", 20), ["Dam 1"])


if __name__ == "__main__":
    unittest.main()
