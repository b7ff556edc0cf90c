import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.edits.text import (
    BinaryContentError,
    FileText,
    UnencodableTextError,
    contents_of,
    dominant_ending,
    ending_of,
    is_binary,
    split_lines,
)

CASES = {
    "empty": b"",
    "no final newline": b"a\nb",
    "mixed endings": b"a\r\nb\nc\rd\r\r\n",
    "form feed and friends": b"a\x0cb\n\x0c\nc\x0bd\n",
    "U+2028 and U+0085 end no line": "a\u2028b\x85c\n".encode(),
    "utf-8 BOM": codecs.BOM_UTF8 + "é\r\n".encode(),
    "utf-16 little": codecs.BOM_UTF16_LE + "é\r\n😀".encode("utf-16-le"),
    "utf-16 big": codecs.BOM_UTF16_BE + "é\n".encode("utf-16-be"),
    "cp1252": "naïve “quotes” €\r\n".encode("cp1252"),
    "latin-1 with C1 controls": b"\x81\x8d\xe9\n",
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES.keys())
def test_bytes_come_back(data: bytes) -> None:
    assert FileText.decode(data).encode() == data


@given(st.binary(max_size=60))
def test_whatever_decodes_encodes_to_the_same_bytes(data: bytes) -> None:
    if not is_binary(data):
        assert FileText.decode(data).encode() == data


@given(st.text(alphabet="ab\r\n\x0c\x0b\x1c\u2028\x85", max_size=30))
def test_only_the_three_endings_split(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert all(ending_of(line) for line in lines[:-1])
    assert len(lines) == len(text.encode().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")) - (
        not text or text[-1] in "\r\n"
    )


def test_lines_of_a_mixed_file_keep_their_own_ending() -> None:
    lines = FileText.decode(CASES["mixed endings"]).lines
    assert [ending_of(line) for line in lines] == ["\r\n", "\n", "\r", "\r", "\r\n"]
    assert dominant_ending(lines) == "\r\n"
    assert dominant_ending(()) == "\n"
    assert contents_of("a\r\nb") == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        b"a\0b",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"\x93\x01\x02\xff",
        codecs.BOM_UTF16_LE + b"\x00\xd8",
        codecs.BOM_UTF16_LE + b"a",
        codecs.BOM_UTF16_LE + b"\0\0a\0",
        codecs.BOM_UTF32_LE + "a".encode("utf-32-le"),
    ],
)
def test_binary_content_is_refused(data: bytes) -> None:
    assert is_binary(data)
    with pytest.raises(BinaryContentError):
        FileText.decode(data)


def test_a_character_without_place_in_the_encoding_is_refused() -> None:
    file = FileText.decode("é\n".encode("cp1252"))
    assert file.encoding == "cp1252"
    with pytest.raises(UnencodableTextError, match="cp1252"):
        file.with_text("😀\n").encode()
