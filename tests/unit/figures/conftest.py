"""What figures are drawn of."""

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def index():
    """Explained are samples 11, 12, 13 and 15; a sample's number is not its place."""
    subtype = ["", "A", "A", "B", "", "A"]
    return pd.DataFrame(
        {"sample": range(10, 16), "subject": range(6), "subtype": subtype, "explain": np.array(subtype) != ""}
    )
