import subprocess
import sys

PUT_OFF = "import sys; from mh_common import lazy_pandas; lazy_pandas.install(); "
LOADED = "'pandas.core' in sys.modules"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", PUT_OFF + code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_pymilvus_is_imported_without_pandas() -> None:
    assert run(f"import pymilvus; print({LOADED})") == "False"


def test_pandas_is_imported_on_first_use() -> None:
    code = "import pymilvus, pandas; print(pandas.Series([1, 2]).sum(), pandas.DataFrame({'a': [1]}).shape)"
    assert run(code) == "3 (1, 1)"


def test_importing_a_submodule_imports_the_real_pandas() -> None:
    code = "import pymilvus; import pandas.io.json; import pandas; print(pandas.__version__ > '')"
    assert run(code) == "True"


def test_pymilvus_distinguishes_a_data_frame_from_a_list() -> None:
    code = (
        "from pymilvus.orm import schema; before = isinstance([], schema.pd.DataFrame); import pandas; "
        "print(before, isinstance(pandas.DataFrame(), schema.pd.DataFrame), schema.is_list_like([1]))"
    )
    assert run(code) == "False True True"


def test_pyarrow_works_beside_it() -> None:
    run("import pyarrow; assert pyarrow.array([1, None], pyarrow.int64()).to_pylist() == [1, None]")
