"""A Gaussian process over the positions of choices: what a measured loss will be, and how sure that is."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Rows = NDArray[np.float64]

JITTER = 1e-4  # of a variance of 1: what keeps the matrix regular
LENGTH_BOUNDS = (-4.0, 4.0)  # of the logarithm of an inverse squared length
NOISE_BOUNDS = (-9.0, -5.0)  # of the logarithm of the noise's variance: scores are not noisy
PRIOR_VARIANCE = 4.0  # of the logarithm of an inverse squared length, around 0
RIDGE = (1e-6, 1e-3, 1e-2)  # of the trend's constant, linear and quadratic part
SMALLEST_SCALE = 0.2  # of the spread of the values: few points on the trend do not make it certain
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
        self._points = points * self._stretch
        kernel, _ = _matern(_squares(self._points, self._points))
        self._factor = cholesky(kernel + self._noise * np.eye(len(points)), lower=True)
        self._dual = cho_solve((self._factor, True), self._normal)

    def predict(self, points: Rows) -> tuple[Rows, Rows]:
        """Mean and standard deviation [N] at points [N, F]."""
        kernel, _ = _matern(_squares(points * self._stretch, self._points))
        half = solve_triangular(self._factor, kernel.T, lower=True)
        variance = np.maximum(1.0 - (half**2).sum(axis=0), 1e-12)
        mean = self._mean + self._scale * (kernel @ self._dual) + _trend(points) @ self._slopes
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
        outer = np.outer(dual, dual) - cho_solve((factor, True), np.eye(len(kernel)))
        by_length = -0.5 * np.einsum("ij,ijk->k", outer * slope, squares) * weights
        by_noise = -0.5 * np.trace(outer) * noise
        prior = 0.5 * (theta[:-1] ** 2).sum() / PRIOR_VARIANCE
        return float(loss + prior), np.append(by_length + theta[:-1] / PRIOR_VARIANCE, by_noise)


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
