"""What every Metric promises."""

from __future__ import annotations

import numpy as np

from jscc_sim.images import Picture
from jscc_sim.metrics import Metric
from jscc_sim.metrics.base import check_column
from jscc_sim.testing.pictures import sample_picture


class MetricContract:
    """What every Metric promises. Set `metric` to an instance."""

    metric: Metric

    def test_names_its_column_and_axis(self) -> None:
        check_column(self.metric)

    def test_is_a_number_or_none_for_any_size(self) -> None:
        for height, width in ((1, 1), (1, 40), (3, 5), (11, 11), (47, 81), (161, 200)):
            picture = sample_picture(height, width)
            for reference in (picture, 255 - picture, np.zeros_like(picture)):
                value = self.metric(picture, reference)
                assert value is None or isinstance(value, float)

    def test_is_deterministic_and_leaves_its_input_as_it_is(self) -> None:
        picture, damaged = sample_picture(170, 180), self._damaged(40)
        before = picture.copy(), damaged.copy()
        assert self.metric(damaged, picture) == self.metric(damaged, picture), "two equal calls differ"
        assert np.array_equal(picture, before[0]), "the metric changed the reference it was given"
        assert np.array_equal(damaged, before[1]), "the metric changed the picture it was given"

    def test_more_noise_is_worse(self) -> None:
        picture = sample_picture(170, 180)
        little, much = (self.metric(self._damaged(sigma), picture) for sigma in (4, 40))
        assert little is not None, "it has no value for a picture of 170x180 pixels"
        assert much is not None, "it has no value for a picture of 170x180 pixels"
        assert (little > much) == self.metric.higher_is_better, "it says the opposite of higher_is_better"
        assert little != much, "it does not see noise"

    def _damaged(self, sigma: float) -> Picture:
        picture = sample_picture(170, 180)
        noise = np.random.default_rng(3).normal(0, sigma, picture.shape)
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
