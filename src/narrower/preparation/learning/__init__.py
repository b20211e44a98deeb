"""Learn the width of every weight and of every value by gradient; one training gives a whole front."""
