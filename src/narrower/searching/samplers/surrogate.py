"""A Gaussian process over the positions of choices: what a measured loss will be, and how sure that is."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.optimize import minimize

Rows = NDArray[np.float64]

JITTER = 1e-4  # of a variance of 1: what keeps the matrix regular
LENGTH_BOUNDS = (-4.0, 4.0)  # of the logarithm of an inverse squared length
NOISE_BOUNDS = (-9.0, -5.0)  # of the logarithm of the noise's variance: scores are not noisy
PRIOR_VARIANCE = 4.0  # of the logarithm of an inverse squared length, around 0
RIDGE = (1e-6, 1e-3, 1e-2)  # of the trend's constant, linear and quadratic part
SMALLEST_SCALE = 0.2  # of the spread of the values: few points on the trend do not make it certain
BLOCK = 64  # learnt points at a time
STEPS = 40  # of the search for hyper-parameters


class Surrogate:
    """A quadratic trend in the mean of the features, and a Gaussian process for what it leaves.

    The kernel is Matern's with smoothness 5/2 and a length for each feature (Rasmussen and Williams, Gaussian
    Processes for Machine Learning, 2006, algorithm 2.1 and equations 4.17, 5.8 and 5.9). The trend says what
    is true of widths as such: more of them help. Lengths have a prior, so that few points do not make them
    extreme.
    """

    def __init__(self, features: int) -> None:
        self._theta = np.append(np.zeros(features), np.mean(NOISE_BOUNDS))
        self._there: _There | None = None

    def fit(self, points: Rows, values: Rows, *, search: bool) -> None:
        """Learn [N, F] points with [N] values; with ``search`` the hyper-parameters as well."""
        basis = _trend(points)
        self._slopes = np.linalg.solve(basis.T @ basis + np.diag(RIDGE), basis.T @ values)
        left = values - basis @ self._slopes
        self._mean = float(left.mean())
        self._scale = max(float(left.std()), SMALLEST_SCALE * float(values.std())) or 1.0
        self._normal = (left - self._mean) / self._scale
        if search:
            squares = (points[:, None] - points[None]) ** 2
            bounds = [LENGTH_BOUNDS] * points.shape[1] + [NOISE_BOUNDS]
            options = {"maxiter": STEPS}
            found = minimize(self._loss, self._theta, (squares,), jac=True, bounds=bounds, options=options)
            self._theta = found.x
            self._there = None
        self._points = points * self._stretch
        kernel, _ = _matern(_squares(self._points, self._points))
        self._factor = cholesky(kernel + self._noise * np.eye(len(points)), lower=True)
        self._half_normal = solve_triangular(self._factor, self._normal, lower=True)

    def predict(self, points: Rows) -> tuple[Rows, Rows]:
        """Mean and standard deviation [N] at points [N, F].

        What is computed for an array of points is kept, and goes on where points were only added to those
        that were learnt.
        """
        if self._there is None or self._there.points is not points:
            self._there = _There(points, points * self._stretch)
        half, explained = self._there.halves(self._points, self._factor)
        variance = np.maximum(1.0 - explained, 1e-12)
        mean = self._mean + self._scale * (self._half_normal @ half) + _trend(points) @ self._slopes
        return mean, self._scale * np.sqrt(variance)

    @property
    def _stretch(self) -> Rows:
        stretch: Rows = np.exp(0.5 * self._theta[:-1])
        return stretch

    @property
    def _noise(self) -> float:
        return float(np.exp(self._theta[-1])) + JITTER

    def _loss(self, theta: Rows, squares: Rows) -> tuple[float, Rows]:
        """Negative logarithm of the marginal likelihood with the prior, and its gradient."""
        weights, noise = np.exp(theta[:-1]), np.exp(theta[-1])
        kernel, slope = _matern(squares @ weights)
        factor = cholesky(kernel + (noise + JITTER) * np.eye(len(kernel)), lower=True)
        dual = cho_solve((factor, True), self._normal)
        loss = 0.5 * self._normal @ dual + np.log(np.diag(factor)).sum()
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse += np.tril(inverse, -1).T
        outer = np.outer(dual, dual) - inverse
        by_length = -0.5 * ((outer * slope).ravel() @ squares.reshape(-1, squares.shape[2])) * weights
        by_noise = -0.5 * np.trace(outer) * noise
        prior = 0.5 * (theta[:-1] ** 2).sum() / PRIOR_VARIANCE
        return float(loss + prior), np.append(by_length + theta[:-1] / PRIOR_VARIANCE, by_noise)


class _There:
    """For one array of points, the triangular solutions of their kernels with the points that were learnt."""

    def __init__(self, points: Rows, stretched: Rows) -> None:
        self.points, self._stretched = points, stretched
        self._learnt: Rows = np.empty((0, points.shape[1]))
        self._half: Rows = np.empty((0, len(points)))
        self._sums: Rows = np.zeros((1, len(points)))  # of squares up to each row

    def halves(self, learnt: Rows, factor: Rows) -> tuple[Rows, Rows]:
        """The solutions [L, N] for learnt points [L, F], and the sums of their squares [N]."""
        most = min(len(learnt), len(self._learnt))
        is_same = (learnt[:most] == self._learnt[:most]).all(axis=1)
        kept = most if is_same.all() else int(is_same.argmin())
        if len(learnt) > len(self._half):
            more = len(learnt) + 32 - len(self._half)
            self._half = np.concatenate([self._half, np.empty((more, len(self.points)))])
            self._sums = np.concatenate([self._sums, np.empty((more, len(self.points)))])
        for start in range(kept, len(learnt), BLOCK):
            stop = min(start + BLOCK, len(learnt))
            kernel, _ = _matern(_squares(learnt[start:stop], self._stretched))
            kernel -= factor[start:stop, :start] @ self._half[:start]
            half = solve_triangular(factor[start:stop, start:stop], kernel, lower=True)
            self._half[start:stop] = half
            self._sums[start + 1 : stop + 1] = self._sums[start] + np.cumsum(half**2, axis=0)
        self._learnt = learnt
        return self._half[: len(learnt)], self._sums[len(learnt)]


def _trend(points: Rows) -> Rows:
    level = points.mean(axis=1)
    return np.stack([np.ones(len(points)), level, level**2], axis=1)


def _squares(a: Rows, b: Rows) -> Rows:
    distances: Rows = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.maximum(distances, 0.0)


def _matern(squares: Rows) -> tuple[Rows, Rows]:
    """Matern's kernel of squared distances, and its derivative by them."""
    root = np.sqrt(5.0 * squares)
    decay = np.exp(-root)
    return (1 + root + root**2 / 3) * decay, -(5 / 6) * (1 + root) * decay
