"""The embedded shop's tables, and features of the real customers."""

from datetime import UTC, datetime
from pathlib import Path

from personalization.segmentation.features import compute_features
from resolvers.sources.embedded_export import export_shop


def test_features_of_the_real_customers(tmp_path: Path) -> None:
    tables = export_shop(tmp_path)
    whole = compute_features(tables, until=datetime(2018, 1, 2, tzinfo=UTC), categories=["drug-gm.hair-care-products"])
    most = compute_features(tables, until=datetime(2017, 10, 1, tzinfo=UTC))
    assert len(whole.customers) == 1863
    assert sum(float(each or 0) for each in whole.columns["frequency"]) == 14_725
    assert 0 < len(most.customers) < 1863
    assert set(whole.columns["role"]) == {"BUILDER", "CONSULTANT", "SHOP_OWNER", "DIRECT_CUSTOMER"}
    assert all(0 <= float(each) <= 1 for each in whole.columns["share.drug-gm.hair-care-products"] if each is not None)
