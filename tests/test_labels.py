"""Classes by name and by number."""

import pytest

from ddpm_lite.labels import class_names, class_number, listed, visible, with_article


@pytest.mark.parametrize(
    ("label", "names", "number"),
    [
        ("dog", ("cat", "dog"), 1),
        ("1", ("cat", "dog"), 1),
        ("0", ("cat", "dog"), 0),
        ("2", ("1", "2", "3"), 1),  # the name comes first
        ("0", ("1", "2", "3"), 0),
        ("東京", ("京都", "東京"), 1),
    ],
)
def test_a_label_is_a_name_or_else_a_number(
    label: str, names: tuple[str, ...], number: int
) -> None:
    assert class_number(label, names) == number


@pytest.mark.parametrize("label", ["3", "-1", "Cat", "", "1.0", "٣", "nan", "9" * 5000])
def test_other_labels_are_refused_with_the_classes(label: str) -> None:
    with pytest.raises(ValueError, match="0 cat, 1 dog"):
        class_number(label, ("cat", "dog"))


def test_a_checkpoint_without_names_has_numbers() -> None:
    assert class_names({}, 3) == ("0", "1", "2")
    assert class_names({"class_names": ["cat", 7]}, 3) == ("cat", "7", "2")
    assert class_names({"class_names": ["cat", "dog"]}, 1) == ("cat",)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("two words, été, 絵", "two words, été, 絵"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\udcff", "\\udcff"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_what_cannot_be_printed_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert listed((text,), 1) == f"0 {shown}"


def test_many_names_are_cut_short() -> None:
    assert listed(("cat", "dog"), 2) == "0 cat, 1 dog"
    assert listed(("cat", "dog", "cow"), 2) == "0 cat, 1 dog, and 1 more"
    assert listed((), 2) == "none"


def test_cifar10s_classes_have_their_articles() -> None:
    said = [with_article(name) for name in ("airplane", "automobile", "bird", "deer", "horse")]
    assert said == ["an airplane", "an automobile", "a bird", "a deer", "a horse"]
    assert with_article("Ant") == "an Ant"
