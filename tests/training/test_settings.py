"""--set KEY=VALUE: dotted keys, TOML values, and nothing that a recipe does not know."""

import pytest

from pycodec.errors import InvalidInput
from pycodec.training.recipe import parse_recipe
from pycodec.training.settings import apply_settings

TABLE = {
    "codec": "toy",
    "config": {"transform": {"name": "a", "config": {"width": 8}}},
    "stage": [
        {"name": "first", "steps": 5, "learning_rate": {"model": 1e-2}},
        {"name": "second one", "steps": 6, "learning_rate": {"model": 5e-3}},
    ],
}


def test_values_are_toml_and_keys_have_dots():
    settings = [
        *(
            "task.rate=0.14",
            "seed = 7",
            'task.kind = "a=b"',
            "config.transform.config.depth=2",
            "task.rate=0.3",
        ),
        *("stage.first.learning_rate.model=1e-4", 'stage."second one".steps=9', "scale=[0.25, 1]"),
    ]
    recipe = parse_recipe(TABLE, settings=settings)
    assert recipe.task == {"rate": 0.3, "kind": "a=b"}
    assert recipe.config["transform"] == {"name": "a", "config": {"width": 8, "depth": 2}}
    assert (recipe.seed, recipe.scale) == (7, (0.25, 1))
    assert [stage.steps for stage in recipe.stages] == [5, 9]
    assert [stage.learning_rate["model"] for stage in recipe.stages] == [1e-4, 5e-3]


def test_a_table_is_replaced_as_a_whole_and_the_recipe_stays():
    changed = apply_settings(TABLE, ['config.transform={name="b"}'])
    assert changed["config"] == {"transform": {"name": "b"}}
    assert TABLE["config"]["transform"]["name"] == "a"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("sede=1", "unknown key 'sede'; expected one of .*; did you mean 'seed'"),
        ("stage.first.stesp=1", "stage 1: unknown key 'stesp'.*did you mean 'steps'"),
        ("stage.frist.steps=1", "one of the names first, second one; did you mean 'first'"),
        ("stage.first=1", "expected stage.NAME.KEY"),
        ("seed.x=1.5", r"seed is \{'x': 1.5\}; expected a whole number"),
        ("codec.name=1", "'codec' is no table there, but 'toy'"),
        ("seed=much", "as in a recipe, in quotes if it is a text: --set 'seed=\"much\"'"),
        ("seed", "expected KEY=VALUE"),
        ("=1", "expected KEY=VALUE"),
        ("a b=1", "expected KEY=VALUE"),
        ("seed=1.5", "seed is 1.5; expected a whole number"),
        ("seed=1\nema=2", "expected KEY=VALUE"),
    ],
)
def test_mistakes(setting, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        parse_recipe(TABLE, settings=[setting])
