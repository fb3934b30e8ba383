"""Barcodes as scanners type them: what is read, refused and warned about."""

from calendar import monthrange
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reactions.clinical.barcode import Scan, UnreadableBarcode, check_digit, read, us_ndc_digits

TODAY = date(2026, 5, 1)
GS = "\x1d"
GTIN = "00614141123452"
SWISS = "07680669330019"
USUAL = f"01{GTIN}21ABC123{GS}10LOT456{GS}17251231"
WHOLE = Scan(GTIN, "LOT456", date(2025, 12, 31), "ABC123")


def lot(text: str) -> str | None:
    return read(text, today=TODAY).lot


def expiry(yymmdd: str, today: date = TODAY) -> date | None:
    return read(f"]d217{yymmdd}", today=today).expires_on


def why_unreadable(text: str) -> str:
    with pytest.raises(UnreadableBarcode) as refused:
        read(text, today=TODAY)
    return str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        USUAL,
        f"{GS}{USUAL}",
        f"{USUAL}{GS}",
        f"{USUAL}\n",
        f"{USUAL}\r\n",
        f" \t{USUAL}\t ",
        f"{USUAL}{GS}\r\n",
        f"]d2{USUAL}",
        f"]C1{USUAL}",
        f"]Q3{USUAL}",
        f"]d2{GS}{USUAL}\n",
        f"01{GTIN}1725123121ABC123{GS}10LOT456",
        f"10LOT456{GS}21ABC123{GS}1725123101{GTIN}",
        f"10LOT456{GS}01{GTIN}{GS}17251231{GS}{GS}21ABC123",
        f"(01){GTIN}(21)ABC123(10)LOT456(17)251231",
        f"(17)251231 (10) LOT456 (01) {GTIN} (21) ABC123\n",
        f"(01){GTIN}(21)ABC123{GS}(10)LOT456{GS}(17)251231",
        f"]d2(01){GTIN}(21)ABC123(10)LOT456(17)251231",
    ],
)
def test_one_code_in_every_form(text: str) -> None:
    assert read(text, today=TODAY) == WHOLE


@pytest.mark.parametrize(
    "typed",
    ["<GS>", "<gs>", "{GS}", "[GS]", "<FNC1>", "{FNC1}", "[FNC1]", "\\x1d", "\\x1D", "\\u001d", "^]", "\u241d"],
)
def test_what_keyboards_make_of_a_separator(typed: str) -> None:
    assert read(USUAL.replace(GS, typed), today=TODAY) == WHOLE
    assert read(typed + USUAL, today=TODAY) == WHOLE


def test_the_swiss_code_and_what_a_code_need_not_hold() -> None:
    assert read(f"01{SWISS}", today=TODAY) == Scan(SWISS, None, None, None)
    assert read("10LOT456", today=TODAY) == Scan(None, "LOT456", None, None)
    assert read("21ABC123", today=TODAY) == Scan(None, None, None, "ABC123")
    assert read("17251231", today=TODAY) == Scan(None, None, date(2025, 12, 31), None)


def test_lots_keep_their_signs() -> None:
    assert lot("10XLOTX\n") == "XLOTX"
    for sign in "!\"%&'()*+,-./:;<=>?_aZ09":
        assert lot(f"10A{sign}B") == f"A{sign}B"


@pytest.mark.parametrize("sign", list("#$@[\\]^`{|}~ "))
def test_signs_that_no_code_can_hold_are_refused(sign: str) -> None:
    assert why_unreadable(f"10A{sign}B").startswith(f"“{sign}” cannot be in a GS1 barcode")


def test_printed_numbers_of_two_to_four_digits_open_a_field() -> None:
    found = read("(10)A(1)B(12345)C(240)X(8005)001234(21)S", today=TODAY)
    assert found == Scan(None, "A(1)B(12345)C", None, "S")


@pytest.mark.parametrize(
    ("yymmdd", "day"),
    [
        ("260501", date(2026, 5, 1)),
        ("261200", date(2026, 12, 31)),
        ("270200", date(2027, 2, 28)),
        ("280200", date(2028, 2, 29)),
        ("280229", date(2028, 2, 29)),
        ("260430", date(2026, 4, 30)),
        ("260400", date(2026, 4, 30)),
        ("000101", date(2000, 1, 1)),
        ("760101", date(2076, 1, 1)),
        ("770101", date(1977, 1, 1)),
        ("990101", date(1999, 1, 1)),
    ],
)
def test_expiries(yymmdd: str, day: date) -> None:
    assert expiry(yymmdd) == day


@pytest.mark.parametrize(
    ("today", "year", "full"),
    [
        (2026, "76", 2076),
        (2026, "77", 1977),
        (2049, "99", 2099),
        (2049, "00", 2000),
        (2050, "00", 2100),
        (2050, "01", 2001),
        (2051, "01", 2101),
        (2051, "02", 2002),
        (2099, "49", 2149),
        (2099, "50", 2050),
        (2000, "50", 2050),
        (2000, "51", 1951),
    ],
)
def test_the_century_slides_with_today(today: int, year: str, full: int) -> None:
    assert expiry(f"{year}0131", date(today, 12, 31)) == date(full, 1, 31)


@pytest.mark.parametrize("yymmdd", ["270229", "260431", "260001", "260000"])
def test_an_expiry_that_is_no_day_is_refused(yymmdd: str) -> None:
    assert why_unreadable(f"01{GTIN}17{yymmdd}") == (
        "The expiry in the code is not a date. Scan it again. "
        "If that does not help, type lot and expiry from the label."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "This is not a GS1 barcode. Scan the square code"),
        ("\n", "This is not a GS1 barcode. Scan the square code"),
        ("hello", "This is not a GS1 barcode. Scan the square code"),
        ("(hello)", "This is not a GS1 barcode. Scan the square code"),
        ("11260501", "This is not a GS1 barcode. Scan the square code"),
        ("https://x.example/01/1", "This is not a GS1 barcode. Scan the square code"),
        (f"]d1{USUAL}", "This is not a GS1 barcode. Scan the square code"),
        (f"]D2{USUAL}", "This is not a GS1 barcode. Scan the square code"),
        ("]E0614141123452", "This is the product's linear barcode, which holds no lot. Scan the square code"),
        ("]I100614141123452", "This is the product's linear barcode, which holds no lot. Scan the square code"),
        (GTIN, "This is the product's linear barcode, which holds no lot. Scan the square code"),
        (SWISS, "This is the product's linear barcode, which holds no lot. Scan the square code"),
        (SWISS[1:], "This is the product's linear barcode, which holds no lot. Scan the square code"),
        (GTIN[2:], "This is the product's linear barcode, which holds no lot. Scan the square code"),
        ("96385074", "This is the product's linear barcode, which holds no lot. Scan the square code"),
        ("10614141123459\n", "This is the product's linear barcode, which holds no lot. Scan the square code"),
        (f"01{GTIN[:-1]}3", "The check digit of the product number is wrong. Scan it again."),
        (f"10LOT{GS}01{GTIN[:-1]}1", "The check digit of the product number is wrong. Scan it again."),
        (f"(01){GTIN[:-1]}3(10)LOT", "The check digit of the product number is wrong. Scan it again."),
        (f"01{GTIN[:-1]}", "The product number in the code cannot be read. Scan it again."),
        (f"01{GTIN}1725123", "The expiry in the code cannot be read. Scan it again."),
        (f"01{GTIN}17251331", "The expiry in the code cannot be read. Scan it again."),
        (f"01{GTIN}17251232", "The expiry in the code cannot be read. Scan it again."),
        (f"01{GTIN}10", "The lot in the code cannot be read. Scan it again."),
        (f"01{GTIN}21{GS}10LOT", "The serial number in the code cannot be read. Scan it again."),
        (
            f"01{GTIN}10{'L' * 21}",
            "The lot is longer than 20 characters: the scanner may be set to leave out separators.",
        ),
        (f"(10){'L' * 21}", "The lot is longer than 20 characters: the scanner may be set to leave out separators."),
        (f"10{'L' * 20}17251231", "The lot is longer than 20 characters: the scanner may be set to leave out"),
        (
            f"21{'1' * 21}{GS}10LOT",
            "The serial number is longer than 20 characters: the scanner may be set to leave out",
        ),
        (USUAL.replace(GS, ""), "The serial number is longer than 20 characters: the scanner may be set to leave out"),
        (f"{USUAL}\n{USUAL}", "There is more than one code in the field. Clear it and scan one code."),
        (f"{USUAL}\r{USUAL}\r", "There is more than one code in the field. Clear it and scan one code."),
        (f"10LOT1{GS}10LOT2", "There are two different values for the lot. Scan one code alone."),
        (f"01{GTIN}01{SWISS}", "There are two different values for the product number. Scan one code alone."),
        ("1725123117251230", "There are two different values for the expiry. Scan one code alone."),
        (f"21A{GS}21B", "There are two different values for the serial number. Scan one code alone."),
        (f"01{GTIN}10LOT 4", "“ ” cannot be in a GS1 barcode: the scanner may be set to another keyboard. Scan the"),
        (f"01{GTIN}10LOTß4", "“ß” cannot be in a GS1 barcode: the scanner may be set to another keyboard. Scan the"),
        (f"01{GTIN}10LOT#4", "“#” cannot be in a GS1 barcode: the scanner may be set to another keyboard. Scan the"),
        ("àé&é'", "“à” cannot be in a GS1 barcode: the scanner may be set to another keyboard. Scan the"),
        ("01٠٠614141123452", "“٠” cannot be in a GS1 barcode: the scanner may be set to another keyboard. Scan the"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_what_to_do(text: str, said: str) -> None:
    sentence = why_unreadable(text)
    assert sentence.startswith(said)
    assert sentence.endswith(
        ("type lot and expiry from the label.", "Type lot and expiry from the label.", "one code.", "one code alone.")
    )


def test_a_refusal_is_whole_sentences() -> None:
    assert why_unreadable(f"10{'L' * 21}") == (
        "The lot is longer than 20 characters: the scanner may be set to leave out separators. "
        "Type lot and expiry from the label."
    )
    assert why_unreadable("hello") == (
        "This is not a GS1 barcode. Scan the square code on the vial or its box, or type lot and expiry from the label."
    )


def test_a_prefix_tells_a_lot_from_a_linear_barcode() -> None:
    assert lot("]d210614141123459") == "614141123459"
    assert lot("10614141123458") == "614141123458"


@pytest.mark.parametrize("length", [7, 9, 10, 11, 15, 16])
def test_numbers_of_other_lengths_are_no_linear_barcodes(length: int) -> None:
    for last in range(10):
        number = f"10{'7' * (length - 3)}{last}"
        assert lot(number) == number[2:]


def test_a_lot_of_20_characters_is_read() -> None:
    assert lot(f"10{'L' * 20}") == lot(f"10{'L' * 20}{GS}17251231") == "L" * 20
    assert read(f"21{'S' * 20}", today=TODAY).serial == "S" * 20


def test_the_same_value_twice_is_one() -> None:
    assert read(f"{USUAL}{GS}{USUAL}", today=TODAY) == WHOLE


@pytest.mark.parametrize(
    "further",
    [
        "11240101",
        "305",
        "7101234567",
        "240X" * 5,
        "91anything",
        "99" + "x" * 90,
        "00" + "0" * 18,
        "02" + "0" * 14 + "3712",
        "8005001234",
    ],
)
def test_other_fields_are_left_out(further: str) -> None:
    for text in (f"{USUAL}{GS}{further}", f"{further}{GS}{USUAL}"):
        assert read(text, today=TODAY) == WHOLE


@pytest.mark.parametrize(
    ("further", "part"),
    [
        ("05foo", "05foo"),
        ("8888x", "8888x"),
        ("11240101zzz", "zzz"),
        ("305x", "x"),
        ("301234567810LOT9", "10LOT9"),
        ("91" + "y" * 91, "y"),
        ("112401", "112401"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_said(further: str, part: str) -> None:
    said = (f"A part of the code could not be read and was left out: {part}",)
    for text in (f"{USUAL}{GS}{further}", f"{further}{GS}{USUAL}"):
        found = read(text, today=TODAY)
        assert (found.gtin, found.lot, found.expires_on, found.serial) == (
            WHOLE.gtin,
            WHOLE.lot,
            WHOLE.expires_on,
            WHOLE.serial,
        )
        assert found.warnings == said


def suspects(holder: str, value: str, held: str) -> tuple[str, ...]:
    return (f"The {holder} “{value}” seems to hold the {held} too: a separator was lost. Compare it with the label.",)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (f"01{GTIN}10LOT45617251231", suspects("lot", "LOT45617251231", "expiry")),
        (f"01{GTIN}10L17251200", suspects("lot", "L17251200", "expiry")),
        (f"01{GTIN}10LOT17171231", suspects("lot", "LOT17171231", "expiry")),
        (f"01{GTIN}10LOT4517172512", ()),
        (f"01{GTIN}10LOT4517251331", ()),
        (f"01{GTIN}10LOT4517250231", ()),
        (f"01{GTIN}10LOT451725123", ()),
        (f"01{GTIN}1017251231", ()),
        (f"01{GTIN}1725123110LOT45617251231", ()),
        (f"01{GTIN}21ABC12317251231{GS}10LOT", suspects("serial number", "ABC12317251231", "expiry")),
        (f"10LOT01{GTIN}", suspects("lot", f"LOT01{GTIN}", "product number")),
        (f"10L0101{GTIN}", suspects("lot", f"L0101{GTIN}", "product number")),
        (f"01{SWISS}10LOT01{GTIN}", suspects("lot", f"LOT01{GTIN}", "product number")),
        (f"10LOT01{GTIN[:-1]}3", ()),
        (f"10LOT01{GTIN[:-1]}", ()),
        (f"1001{GTIN}", ()),
        (f"21S01{GTIN}", suspects("serial number", f"S01{GTIN}", "product number")),
        (f"01{GTIN}1725123110LOT21SERIAL", suspects("lot", "LOT21SERIAL", "serial number")),
        (f"01{GTIN}1725123110LO21SERIALS", ()),
        (f"01{GTIN}1725123110LOT21SERIA", ()),
        (f"01{GTIN}1725123110K721A8541", ()),
        (f"01{GTIN}1725123110LOT21SERIAL{GS}21S", ()),
        (f"01{GTIN}1725123121SERIAL10LOT", suspects("serial number", "SERIAL10LOT", "lot")),
        (f"01{GTIN}1725123121SERIA10LOTS", ()),
        (f"01{GTIN}1725123121SERIAL10LO", ()),
        (f"01{GTIN}1725123121SERIAL10LOT{GS}10LOT", ()),
        (f"01{GTIN}1725123110LOT10SERIAL", ()),
        (f"01{GTIN}1725123110L{GS}21SERIAL21LOT", ()),
    ],
)
def test_a_lost_separator_is_suspected(text: str, warnings: tuple[str, ...]) -> None:
    assert read(text, today=TODAY).warnings == warnings


def test_all_that_is_doubtful_is_said() -> None:
    found = read(f"05foo{GS}10LOT17251231{GS}21SER17251231", today=TODAY)
    assert [sentence.split()[1] for sentence in found.warnings] == ["part", "lot", "serial"]


@pytest.mark.parametrize(
    ("digits", "check"),
    [("0061414112345", 2), ("0768066933001", 9), ("0000000000000", 0), ("1000000000000", 7), ("0100000000000", 9)],
)
def test_check_digits(digits: str, check: int) -> None:
    assert check_digit(digits) == check


@pytest.mark.parametrize(
    "digits", ["", "006141411234", "00614141123452", "006141411234X", " 061414112345", "٠061414112345"]
)
def test_a_check_digit_needs_13_digits(digits: str) -> None:
    with pytest.raises(ValueError, match=r"^A check digit is made from 13 digits\.$"):
        check_digit(digits)


def with_check(digits: str) -> str:
    return f"{digits}{check_digit(digits)}"


@pytest.mark.parametrize(
    ("gtin", "ndc"),
    [
        (with_check("0034420643601"), "4420643601"),
        (with_check("5034420643601"), "4420643601"),
        (with_check("0036812500120"), "6812500120"),
        (with_check("0044420643601"), None),
        (with_check("0304420643601"), None),
        (SWISS, None),
        (GTIN, None),
        (f"0034420643601{(check_digit('0034420643601') + 1) % 10}", None),
        (with_check("0034420643601")[:-1], None),
        (with_check("0034420643601") + "0", None),
        ("", None),
    ],
)
def test_american_drug_codes(gtin: str, ndc: str | None) -> None:
    assert us_ndc_digits(gtin) == ndc


thirteen = st.text("0123456789", min_size=13, max_size=13)
signs = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-./+_%", min_size=1, max_size=20)
days = st.dates(date(1978, 1, 1), date(2075, 12, 31))


@given(thirteen, st.integers(0, 13), st.integers(1, 9))
def test_a_check_digit_detects_every_single_wrong_digit(digits: str, at: int, by: int) -> None:
    gtin = with_check(digits)
    wrong = gtin[:at] + str((int(gtin[at]) + by) % 10) + gtin[at + 1 :]
    assert check_digit(wrong[:13]) != int(wrong[13])
    with pytest.raises(UnreadableBarcode):
        read(f"01{wrong}10LOT", today=TODAY)


@given(st.data(), thirteen, signs, signs, days, st.sampled_from(["", "]d2", "]C1", "]Q3"]), st.booleans())
def test_what_was_encoded_is_read(
    data: st.DataObject, digits: str, lot_: str, serial: str, day: date, prefix: str, last_day: bool
) -> None:
    if last_day:
        day = day.replace(day=monthrange(day.year, day.month)[1])
    gtin, written = with_check(digits), f"{day:%y%m}00" if last_day else f"{day:%y%m%d}"
    elements = [f"01{gtin}", f"10{lot_}{GS}", f"21{serial}{GS}", f"17{written}"]
    found = read(prefix + "".join(data.draw(st.permutations(elements))), today=TODAY)
    assert (found.gtin, found.lot, found.serial, found.expires_on) == (gtin, lot_, serial, day)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = read(text, today=TODAY)
    except UnreadableBarcode:
        return
    assert found.gtin or found.lot or found.expires_on or found.serial


@given(signs, days)
def test_an_expiry_swallowed_by_a_lot_is_suspected(lot_: str, day: date) -> None:
    assume(len(lot_) <= 12)
    assert read(f"]d210{lot_}17{day:%y%m%d}", today=TODAY).warnings
