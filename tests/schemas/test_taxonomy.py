"""Taxonomies as data: what is read, what is refused and in which words, and the commands."""

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from schemas import CHAT_13, Taxonomy, TaxonomyError, load_taxonomy, shipped_taxonomy, taxonomy_of
from schemas.__main__ import app
from schemas.taxonomy import MAX_CATEGORIES, SHIPPED_FOLDER, TaxonomyCategory, shipped_names
from schemas.taxonomy_faults import faults_of

RUNNER = CliRunner()
HEAD = 'name = "pets"\nversion = "1.2"\n'
CAT = '[[categories]]\ncode = "cat"\nname = "Cat"\ndescription = "cats"\n'
DOG = '[[categories]]\ncode = "dog"\nname = "Dog"\ndescription = "dogs"\n'
PETS = HEAD + CAT + DOG + "banned = true\n"


def category(**fields: str) -> str:
    """Return a category whose fields are given as TOML."""
    return "[[categories]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())


def faults(text: str) -> list[str]:
    """Return the lines of a refusal after the first."""
    with pytest.raises(TaxonomyError, match=r"^pets\.toml: not a taxonomy:\n") as refused:
        Taxonomy.parse(text, where="pets.toml")
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


def test_a_taxonomy_is_read_in_the_order_of_its_file() -> None:
    """The order is that of the model's output columns."""
    pets = Taxonomy.parse(PETS, where="pets.toml")
    assert (str(pets.ref), pets.codes, pets.banned) == ("pets 1.2", ("cat", "dog"), frozenset({"dog"}))
    assert (pets.names["dog"], pets.columns["dog"]) == ("Dog", 1)


def test_those_that_ship_are_read_and_named_after_their_files() -> None:
    """A bundle's manifest holds the whole; people name it."""
    assert shipped_names() == ["chat-13", "community", "toxicity"]
    for name in shipped_names():
        taxonomy = shipped_taxonomy(name)
        assert taxonomy.name == name
        assert all(one.description for one in taxonomy.categories)
        assert taxonomy_of(name) == load_taxonomy(SHIPPED_FOLDER / f"{name}.toml") == taxonomy
    assert shipped_taxonomy("toxicity").banned == {"toxic", "jailbreak"}
    assert shipped_taxonomy("community").banned == frozenset()
    assert (CHAT_13.codes, CHAT_13.banned) == (tuple("ABCDEFGHIJKLM"), frozenset("DJM"))


# Bundles without a taxonomy of their own, the shipped one among them, are read under this file: another text would
# change their names and default policy under an unchanged digest. A change is a new version, in a file of its own.
CHAT_13_SHA256 = "dd9654328e365bcee92f605db37753234c00348b0f639739d56018d3f7fac665"


def test_chat_13_stays_what_bundles_without_a_taxonomy_are_read_under() -> None:
    """Their digests do not cover it. `iab_content` is not of it: no bundle and no digest knows it."""
    assert sha256(CHAT_13.model_dump_json(exclude_defaults=True).encode()).hexdigest() == CHAT_13_SHA256
    assert str(CHAT_13.ref) == "chat-13 1"


CROSSWALK = {
    "A": ("132", "146"),
    "C": ("264",),
    "D": ("42",),
    "F": ("596", "602"),
    "H": ("473",),
    "J": ("186",),
    "K": ("205",),
    "M": ("v9i3On",),
}


def test_a_category_has_ids_of_the_iab_only_where_the_fit_is_strong() -> None:
    """A wrong topic in a bid is worse than none; and of M no child is known."""
    assert {code: ids for code, ids in CHAT_13.iab_content.items() if ids} == CROSSWALK


def test_the_crosswalk_makes_no_other_taxonomy() -> None:
    """A bundle that carries chat-13 from before is of chat-13 still: answers that were paid for rest on that."""
    carried = Taxonomy.model_validate_json(CHAT_13.model_dump_json())
    assert carried == CHAT_13
    assert hash(carried.categories[0]) == hash(CHAT_13.categories[0])
    assert carried.iab_content["A"] == ()
    assert Taxonomy.model_validate(CHAT_13.document()).iab_content == CHAT_13.iab_content


CODES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)


@given(st.lists(CODES, min_size=2, max_size=8, unique_by=str.casefold))
def test_a_taxonomy_survives_the_manifest(codes: list[str]) -> None:
    """A bundle carries it as JSON."""
    categories = tuple(TaxonomyCategory(code=code, name="x") for code in codes)
    taxonomy = Taxonomy(name="t", version="1", categories=categories)
    assert Taxonomy.model_validate_json(taxonomy.model_dump_json()) == taxonomy
    assert taxonomy.codes == tuple(codes)


CODE = "expected a letter or digit, then letters, digits, `_`, `.` or `-`, at most 64 in all"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + CAT, "categories: found 1 category; expected 2 to 256"),
        (HEAD, "categories: found nothing; expected [[categories]] tables, each with a code and a name"),
        (f"{HEAD}categories = []", "categories: found 0 categories; expected 2 to 256"),
        (
            HEAD + "".join(category(code=f'"c{number}"', name='"x"') for number in range(300)),
            "categories: found 300 categories; expected 2 to 256",
        ),
        (
            f'{HEAD}categories = ["cat", "dog"]',
            "category 1: found 'cat'; expected a table with a code and a name",
        ),
        (
            PETS + category(code='"dog"', name='"x"'),
            "categories 2, 3: all have the code 'dog'; expected each code once",
        ),
        (
            PETS + category(code='"DOG"', name='"x"'),
            "categories 2, 3: codes 'dog', 'DOG' differ in nothing but case; rename all but one",
        ),
        (
            PETS.replace('"cats"\n', '"cats"\nbanned = true\n'),
            "categories: every one is banned, so that no ad could ever be shown; leave at least one out",
        ),
        (PETS + category(code='"a b"', name='"x"'), f"category 3 ('a b'): code is 'a b'; {CODE}"),
        (PETS + category(code='"-a"', name='"x"'), f"category 3 ('-a'): code is '-a'; {CODE}"),
        (PETS + category(code='"é"', name='"x"'), f"category 3 ('é'): code is 'é'; {CODE}"),
        (PETS + category(code='""', name='"x"'), f"category 3 (''): code is ''; {CODE}"),
        (PETS + category(code="7", name='"x"'), f"category 3: code is 7; {CODE}"),
        (PETS + category(name='"x"'), f"category 3: code is missing; {CODE}"),
        (
            PETS + category(code='"eel"'),
            "category 3 ('eel'): name is missing; expected a text for people, of 1 to 128 characters",
        ),
        (
            PETS + category(code='"eel"', name='""'),
            "category 3 ('eel'): name is ''; expected a text for people, of 1 to 128 characters",
        ),
        (
            PETS + category(code='"eel"', name='"x"', banned='"maybe"'),
            "category 3 ('eel'): banned is 'maybe'; expected true or false",
        ),
        (
            PETS + category(code='"eel"', name='"x"', baned="true"),
            (
                "category 3 ('eel'): unknown field 'baned'; "
                "expected code, name, description, banned, perspective, iab_content; did you mean banned?"
            ),
        ),
        (
            PETS + category(code='"eel"', name='"x"', colour='"grey"'),
            (
                "category 3 ('eel'): unknown field 'colour'; "
                "expected code, name, description, banned, perspective, iab_content; remove it"
            ),
        ),
        (
            f'subjct = "x"\n{PETS}',
            "unknown field 'subjct'; expected name, version, subject, rules, categories, floor; did you mean subject?",
        ),
        (PETS.replace('name = "pets"', 'name = "my pets"'), f"name is 'my pets'; {CODE}"),
        (PETS.replace('name = "pets"\n', ""), f"name is missing; {CODE}"),
        (PETS.replace('"1.2"', '"new"'), "version is 'new'; expected dotted numbers, as in version = \"1.2\""),
        (PETS.replace('"1.2"', "1.2"), 'version is 1.2; expected dotted numbers, as in version = "1.2"'),
    ],
)
def test_what_is_no_taxonomy_is_refused_in_words_that_repair_it(text: str, fault: str) -> None:
    """Found, expected, remedy."""
    assert fault in faults(text)


def test_everything_wrong_is_said_in_one_go() -> None:
    """A file of 40 categories is not repaired one error at a time."""
    text = (
        'nme = "pets"\nversion = "one"\n'
        + CAT
        + category(code='"Cat"', name='"x"', descr='"y"')
        + category(code='"a b"', name='""')
    )
    assert [fault.split(";")[0] for fault in faults(text)] == [
        "name is missing",
        "version is 'one'",
        "unknown field 'nme'",
        "category 2 ('Cat'): unknown field 'descr'",
        "category 3 ('a b'): code is 'a b'",
        "category 3 ('a b'): name is ''",
        "categories 1, 2: codes 'cat', 'Cat' differ in nothing but case",
    ]


def test_a_long_value_is_quoted_in_part() -> None:
    """A description in the wrong place must not fill the screen."""
    (fault,) = faults(PETS + category(code=f'"{"x" * 5_000}"', name='"x"'))
    assert len(fault) < 400
    assert "5002 characters" in fault


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "version", "categories", "code", "banned", "x"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["name", "version", "categories", "rules", "x"]), DOCUMENTS))
def test_whatever_the_model_refuses_has_a_fault_in_words(document: dict[str, object]) -> None:
    """A refusal without a reason would be a riddle."""
    try:
        Taxonomy.model_validate(document)
    except ValidationError:
        assert faults_of(document, Taxonomy, TaxonomyCategory, (2, MAX_CATEGORIES))
    else:
        assert faults_of(document, Taxonomy, TaxonomyCategory, (2, MAX_CATEGORIES)) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory); expected a TOML file"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "not TOML"),
        (b"name = ", "not TOML"),
        (b"\xef\xbb\xbf" + PETS.encode().replace(b'"cat"', b'"c t"'), "not a taxonomy"),
    ],
)
def test_a_file_that_holds_none_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    """With its path, in the library and by the command."""
    path = tmp_path / "pets.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TaxonomyError, match=r"pets\.toml") as refused:
        load_taxonomy(path)
    assert words in str(refused.value)
    result = RUNNER.invoke(app, ["taxonomy", "check", str(path)])
    assert (result.exit_code, words in result.output) == (1, True)


def test_a_name_that_is_neither_shipped_nor_a_file_is_refused_with_those_that_are() -> None:
    """Both commands and settings take either."""
    with pytest.raises(TaxonomyError, match="neither a file nor one of chat-13, community, toxicity"):
        taxonomy_of("pets")
    with pytest.raises(TaxonomyError, match="no taxonomy 'pets' ships; expected one of chat-13, community, toxicity"):
        shipped_taxonomy("pets")
    result = RUNNER.invoke(app, ["taxonomy", "show", "pets"])
    assert (result.exit_code, "chat-13, community, toxicity" in result.output) == (1, True)


def test_codes_of_another_taxonomy_are_refused_with_both_names() -> None:
    """A policy of another taxonomy would ban nothing of this one."""
    with pytest.raises(
        TaxonomyError, match=r"policy 'p' names 'M'; taxonomy toxicity 1 has not_toxic, toxic, jailbreak"
    ):
        shipped_taxonomy("toxicity").require(frozenset({"M", "toxic"}), of="policy 'p'")


def test_the_command_says_what_a_taxonomy_is(tmp_path: Path) -> None:
    """Name, version, how many, what it bans."""
    path = tmp_path / "pets.toml"
    path.write_text(PETS)
    result = RUNNER.invoke(app, ["taxonomy", "check", str(path)])
    assert result.exit_code == 0
    assert result.output == f"{path}: taxonomy pets 1.2, 2 categories; by default banned: dog\n"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (PETS.replace('description = "cats"\n', ""), "no description: cat; "),
        (HEAD + CAT + DOG, "bans nothing: every chat will be allowed under its default policy\n"),
        (PETS.replace('"Cat"', '"Pet"').replace('"Dog"', '"pet"'), "cat, dog have one name"),
    ],
)
def test_the_command_warns_of_what_is_legal_and_hardly_meant(tmp_path: Path, text: str, warning: str) -> None:
    """A warning is no refusal."""
    path = tmp_path / "pets.toml"
    path.write_text(text)
    result = RUNNER.invoke(app, ["taxonomy", "check", str(path)])
    assert result.exit_code == 0
    assert f"warning: {warning}" in result.output


def test_the_commands_list_and_show_what_ships() -> None:
    """One that is not told cannot be chosen."""
    listed = RUNNER.invoke(app, ["taxonomy", "list"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in shipped_names())
    shown = RUNNER.invoke(app, ["taxonomy", "show", "toxicity"])
    assert shown.exit_code == 0
    assert all(code in shown.output for code in shipped_taxonomy("toxicity").codes)
    as_json = RUNNER.invoke(app, ["taxonomy", "show", "toxicity", "--json"])
    assert Taxonomy.model_validate_json(as_json.output) == shipped_taxonomy("toxicity")
